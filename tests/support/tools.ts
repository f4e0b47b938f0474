/**
 * An agent whose tools, of all four effects, write what they do into ledger files: what really happened, whatever the log
 * says. It needs nothing but a folder, so that another process can use it.
 */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Agent, defineTool, type Tool } from "../../agents/agent.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Effect } from "../../core/words.ts";

/** One line of a ledger: what a tool really did, whatever the log says. */
export interface LedgerLine {
  tool: string;
  phase: "begin" | "end";
  callId: string;
  threadId: string;
  idempotencyKey: string;
  attempt: number;
  args: JsonObject;
  requester: string;
  atMs: number;
  pid: number;
}

/** `hang` ends with the signal, `ignore` does not even then; `slow` takes `delayMs`. */
const behaviours = ["ok", "fail", "hang", "ignore", "huge", "slow"] as const;

const inputOf = z.object({
  id: z.string(),
  does: z.enum(behaviours).nullish(),
  delayMs: z.number().nullish(),
  /** The policy to ask by. */
  policy: z.string().nullish(),
});
export type ToolArgs = z.input<typeof inputOf>;

const effectOf: Record<string, Effect> = {
  look: "read",
  look_again: "read",
  set: "idempotent",
  charge: "keyed",
  launch: "once",
};

function testTool(name: string, folder: string, timeoutMs: number): Tool {
  return defineTool({
    name,
    description: `Does ${name}.`,
    input: inputOf,
    effect: effectOf[name] ?? "once",
    approval: (args) => args.policy ?? null,
    subject: (args) => `${name} ${args.id}`,
    timeoutMs,
    summary: (args) => `${name} ${args.id}`,
    async run(args, { signal, threadId, callId, idempotencyKey, attempt, requester }) {
      const line = { tool: name, callId, threadId, idempotencyKey, attempt, args, requester };
      const note = (phase: LedgerLine["phase"]) =>
        appendFile(
          join(folder, `${name}.jsonl`),
          `${JSON.stringify({ ...line, phase, atMs: Date.now(), pid: process.pid })}\n`,
        );
      await note("begin");
      const result = await behave(args.does ?? "ok", { delayMs: args.delayMs ?? 0, signal, id: args.id });
      await note("end");
      return result;
    },
  });
}

async function behave(
  does: (typeof behaviours)[number],
  { delayMs, signal, id }: { delayMs: number; signal: AbortSignal; id: string },
): Promise<Json> {
  if (does === "fail") throw new Error(`${id} is broken\n    at some.stack (line 1)`);
  if (does === "huge") return "x".repeat(200_000);
  if (does === "slow") await sleep(delayMs, undefined, { signal });
  if (does === "hang") await sleep(60_000, undefined, { signal });
  if (does === "ignore") await sleep(60_000, undefined, { ref: false });
  return { done: id };
}

export interface TestAgentOptions extends Partial<Omit<Agent, "limits">> {
  limits?: Partial<Agent["limits"]>;
  toolTimeoutMs?: number;
}

export function testAgent(folder: string, options: TestAgentOptions = {}): Agent {
  const { limits, toolTimeoutMs = 10_000, ...rest } = options;
  return {
    name: "tester",
    description: "For tests.",
    tools: Object.keys(effectOf).map((name) => testTool(name, folder, toolTimeoutMs)),
    handoffTo: ["other", "person"],
    promptVariables: () => ({}),
    prefetch: [],
    offline: null,
    ...rest,
    limits: {
      maxSteps: 10,
      contextTokens: 16_000,
      maxOutputTokens: 500,
      modelTimeoutMs: 5_000,
      ...limits,
    },
  };
}

/** What tools did, oldest first; `phase` narrows it. */
export async function ledgerOf(folder: string, phase?: LedgerLine["phase"]): Promise<LedgerLine[]> {
  const lines = await Promise.all(
    Object.keys(effectOf).map(async (name) =>
      (await readFile(join(folder, `${name}.jsonl`), "utf8").catch(() => ""))
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as LedgerLine),
    ),
  );
  return lines
    .flat()
    .filter((line) => phase === undefined || line.phase === phase)
    .sort((a, b) => a.atMs - b.atMs);
}
