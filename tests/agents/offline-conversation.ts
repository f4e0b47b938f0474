/** Talks with an agent's offline stand-in and its real tools, without the loop: what happens to each call is up to the test. */
import type { Agent, OfflineHappening, OfflineStep } from "../../agents/agent.ts";
import { readStep, stepForm } from "../../agents/runtime/step-schema.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { contextOf } from "./bundled-environment.ts";

export type Judge = (tool: string, args: JsonObject) => OfflineHappening | null;

const maxSteps = 8;

/** The last step, and the tools that were called on the way. `judge` may answer for people; null runs the tool. */
export async function converse(
  agent: Agent,
  message: string,
  judge: Judge = () => null,
): Promise<{ last: OfflineStep; said: string; calls: string[] }> {
  stepForm(agent);
  const prefetched: Record<string, Json> = {};
  for (const { name, fetch } of agent.prefetch) prefetched[name] = await fetch(AbortSignal.timeout(5_000));
  const since: OfflineHappening[] = [];
  const calls: string[] = [];
  for (let step = 0; step < maxSteps; step++) {
    const decided = agent.offline?.({ message, since, prefetched });
    if (decided === undefined) throw new Error("the agent has no offline script");
    const read = readStep(agent, { step: decided });
    if (!read.ok) throw new Error(read.problem);
    if (read.choice.type !== "call") {
      const said = "text" in read.choice ? (read.choice.text ?? "") : "";
      return { last: decided, said, calls };
    }
    for (const { tool, args } of read.choice.calls) {
      calls.push(tool.name);
      since.push(judge(tool.name, args) ?? (await attempt(tool, args)));
    }
  }
  throw new Error(`no end after ${maxSteps} steps`);
}

async function attempt(tool: Agent["tools"][number], args: JsonObject): Promise<OfflineHappening> {
  try {
    return {
      kind: "result",
      tool: tool.name,
      args,
      result: await tool.run(tool.input.parse(args), contextOf()),
    };
  } catch (error) {
    return { kind: "failure", tool: tool.name, args, error: (error as Error).message };
  }
}
