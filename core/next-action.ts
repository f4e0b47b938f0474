/**
 * What to do next, read from the state alone. The loop asks after every commit; the order of the rules is the order
 * of safety: what was begun is brought to an end before anything new begins, and new input is heard before a chosen
 * effect begins.
 */
import {
  hasUnseenInput,
  needsCleaning,
  type OpenCall,
  type ThreadState,
  transcriptCharacters,
} from "./thread.ts";

export interface LoopLimits {
  maxSteps: number;
  /** Above this the transcript is compacted before the next thought. */
  maxTranscriptCharacters: number;
  run: { tokens: number; usd: number };
  thread: { tokens: number; usd: number };
}

export const maxErrorsInRow = 3;

export type Action =
  | { do: "rest" }
  /** Close what a cancellation left open. */
  | { do: "clean_up" }
  /** Begun by a worker that is gone: bring to an end by the tool's effect. */
  | { do: "recover"; calls: OpenCall[] }
  | { do: "begin"; calls: OpenCall[] }
  | { do: "request_approval"; call: OpenCall }
  | { do: "compact"; throughSeq: number }
  | { do: "stop"; reason: "step_limit" | "errors" | "budget" }
  | { do: "think" };

export function nextAction(state: ThreadState, limits: LoopLimits): Action {
  if (state.halted === "paused") return { do: "rest" };
  if (state.halted === "cancelled") return needsCleaning(state) ? { do: "clean_up" } : { do: "rest" };

  const running = state.calls.filter((call) => call.status === "running");
  if (running.length > 0) return { do: "recover", calls: running };

  const approved = state.calls.find((call) => call.status === "approved");
  if (approved !== undefined) return { do: "begin", calls: [approved] };

  if (hasUnseenInput(state)) return think(state, limits);

  const chosen = state.calls.filter((call) => call.status === "chosen");
  const unasked = chosen.find((call) => call.approvalPolicy !== null);
  if (unasked !== undefined) return { do: "request_approval", call: unasked };
  if (chosen.length > 0) return { do: "begin", calls: sideBySide(chosen) };
  return { do: "rest" };
}

/** Reads may run side by side; anything with an effect runs alone. */
function sideBySide(chosen: OpenCall[]): OpenCall[] {
  const reads = chosen.filter((call) => call.effect === "read");
  return reads.length > 0 ? reads : chosen.slice(0, 1);
}

function think(state: ThreadState, limits: LoopLimits): Action {
  if (state.timers.some((timer) => timer.purpose === "model_retry")) return { do: "rest" };
  // A question that stops the run is asked once; one that was open before must not keep it from being asked.
  const asked = state.question?.purpose === "errors" || state.question?.purpose === "budget";
  if (state.errorsInRow >= maxErrorsInRow) return asked ? { do: "rest" } : { do: "stop", reason: "errors" };
  if (state.run !== null && state.run.steps >= limits.maxSteps) return { do: "stop", reason: "step_limit" };
  if (overBudget(state, limits)) return asked ? { do: "rest" } : { do: "stop", reason: "budget" };
  if (transcriptCharacters(state) > limits.maxTranscriptCharacters) {
    const throughSeq = compactThrough(state, limits.maxTranscriptCharacters);
    if (throughSeq !== null) return { do: "compact", throughSeq };
  }
  return { do: "think" };
}

function overBudget(state: ThreadState, limits: LoopLimits): boolean {
  const { extension, run, spend } = state;
  const runOver =
    run !== null &&
    (run.tokens >= limits.run.tokens + extension.tokens || run.usd >= limits.run.usd + extension.usd);
  return (
    runOver ||
    spend.tokens >= limits.thread.tokens + extension.tokens ||
    spend.usd >= limits.thread.usd + extension.usd
  );
}

/** Half of the transcript goes into the summary, but never a message that nobody has answered. Null when nothing can go. */
function compactThrough(state: ThreadState, maxCharacters: number): number | null {
  const firstUnanswered = state.unanswered[0]?.seq ?? Number.POSITIVE_INFINITY;
  let kept = 0;
  for (let index = state.transcript.length - 1; index >= 0; index--) {
    const item = state.transcript[index];
    if (item === undefined) break;
    kept += JSON.stringify(item).length;
    if (kept > maxCharacters / 2 && index < state.transcript.length - 4 && item.seq < firstUnanswered) {
      return item.seq;
    }
  }
  return null;
}
