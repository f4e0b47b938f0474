/** What the loop is made of and hands on: the ports, the agents and the limits of one worker. */
import type { Policy } from "../../core/approval.ts";
import type { Doorbell, Log, ModelCallRecord, ThreadLog } from "../../core/ports.ts";
import type { Agent } from "../agent.ts";
import type { Budgets } from "./limits.ts";
import type { Thinker } from "./think.ts";

/** What metrics and traces hear of the loop. */
export type LoopFact =
  | { kind: "step"; agent: string; decision: string; durationMs: number }
  | { kind: "model_call"; call: ModelCallRecord }
  | { kind: "tool"; agent: string; tool: string; outcome: string }
  | { kind: "run_ended"; agent: string; outcome: string };

export interface LoopParts extends Thinker {
  log: ThreadLog;
  doorbell: Doorbell;
  agents: ReadonlyMap<string, Agent>;
  policies: ReadonlyMap<string, Policy>;
  budgets: Budgets;
  /** Unique for each start of a process. */
  owner: string;
  leaseTtlMs: number;
  logger: Log;
  observe(fact: LoopFact): void;
}
