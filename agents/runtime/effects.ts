/**
 * Runs a tool once and says what became of it. Nothing here writes: the loop has committed that the call begins before
 * it comes here, and commits the outcome after. A kill in between leaves a begun call, which the tool's effect decides.
 */
import { errorLine } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { OpenCall } from "../../core/thread.ts";
import type { Agent } from "../agent.ts";

export type ToolOutcome =
  | { kind: "finished"; result: Json; durationMs: number }
  | { kind: "failed"; error: string; durationMs: number }
  /** Cut off by its time limit: for a tool with an effect nobody knows whether it happened. */
  | { kind: "timed_out"; error: string; durationMs: number }
  /** The worker stops or lost the thread: nothing is known and nothing is written. */
  | { kind: "cut_off" };

export interface ToolRun {
  agent: Agent;
  call: OpenCall;
  threadId: string;
  requester: string;
  /** Fires when the worker stops, loses the thread, or the thread is cancelled. */
  signal: AbortSignal;
}

/** Characters of JSON that a result may take in the log; the rest is named as left out. */
const maxResultCharacters = 64_000;
/** How long a tool may take to notice that it was cut off. */
const noticeMs = 5_000;

export async function runTool({ agent, call, threadId, requester, signal }: ToolRun): Promise<ToolOutcome> {
  const startedAt = performance.now();
  const durationMs = (): number => Math.round(performance.now() - startedAt);
  const tool = agent.tools.find((known) => known.name === call.tool);
  if (tool === undefined) {
    return {
      kind: "failed",
      error: `the agent ${agent.name} no longer has a tool ${call.tool}`,
      durationMs: 0,
    };
  }
  const args = tool.input.safeParse(call.args);
  if (!args.success) return { kind: "failed", error: `arguments: ${errorLine(args.error)}`, durationMs: 0 };

  const limit = AbortSignal.timeout(tool.timeoutMs);
  const cutOff = AbortSignal.any([signal, limit]);
  const idempotencyKey = call.idempotencyKey ?? call.callId;
  const context = {
    signal: cutOff,
    threadId,
    callId: call.callId,
    idempotencyKey,
    attempt: call.attempt,
    requester,
  };
  try {
    const result = await untilAborted(tool.run(args.data, context), cutOff);
    return { kind: "finished", result: bounded(result), durationMs: durationMs() };
  } catch (error) {
    if (signal.aborted) return { kind: "cut_off" };
    if (limit.aborted) {
      return {
        kind: "timed_out",
        error: `no answer within ${tool.timeoutMs / 1000} s`,
        durationMs: durationMs(),
      };
    }
    return { kind: "failed", error: errorLine(error, 500), durationMs: durationMs() };
  }
}

/** A tool that ignores its signal must not hold the thread for ever. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => {};
  const deadline = new Promise<never>((_, reject) => {
    onAbort = () => {
      timer = setTimeout(() => reject(signal.reason), noticeMs);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function bounded(result: unknown): Json {
  const text = JSON.stringify(result ?? null);
  if (text === undefined) return null;
  if (text.length <= maxResultCharacters) return JSON.parse(text) as Json;
  const kept = text.slice(0, maxResultCharacters).toWellFormed();
  return `${kept} [… ${text.length - kept.length} characters left out …]`;
}
