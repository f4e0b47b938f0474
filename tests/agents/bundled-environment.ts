/** What the tests of the bundled agents hand them: a temp folder, a real database, and the context of a call. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent, AgentEnvironment, ToolContext } from "../../agents/agent.ts";
import type { Json, JsonObject } from "../../core/json.ts";

export const path = process.env.PATH ?? "/usr/bin:/bin";

export async function tempFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "parley-agents-"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export const environmentOf = (
  folder: string,
  query: AgentEnvironment["query"],
  more: Partial<AgentEnvironment> = {},
): AgentEnvironment => ({
  settings: {},
  folder,
  configFolder: folder,
  commandEnv: { PATH: path, HOME: "/nonexistent", LANG: "C" },
  query,
  ...more,
});

let calls = 0;
export const contextOf = (more: Partial<ToolContext> = {}): ToolContext => ({
  signal: AbortSignal.timeout(30_000),
  threadId: "thread-1",
  callId: `call-${++calls}`,
  idempotencyKey: `key-${calls}`,
  attempt: 1,
  requester: "ada",
  ...more,
});

export function toolOf(agent: Agent, name: string) {
  const tool = agent.tools.find((candidate) => candidate.name === name);
  if (tool === undefined) throw new Error(`no tool ${name}`);
  return tool;
}

export const run = (agent: Agent, name: string, args: JsonObject, context = contextOf()): Promise<Json> => {
  const tool = toolOf(agent, name);
  return tool.run(tool.input.parse(args), context);
};
