/**
 * A second reading of a log, written without the fold: for each question ("is this call open?") it looks at the events that
 * name the thing. For stories up to their first cancellation. Slow and plain on purpose.
 */
import type { EventOf, EventType, ThreadEvent } from "../../core/events.ts";

const of = <T extends EventType>(log: readonly ThreadEvent[], type: T): (EventOf<T> & { at: number })[] =>
  log.flatMap((event) => (event.type === type ? [{ ...(event.data as EventOf<T>), at: event.seq }] : []));

const latest = (seqs: readonly number[]): number => Math.max(0, ...seqs);

export function naiveStatus(log: readonly ThreadEvent[]): "running" | "waiting" | "done" | "paused" {
  if (isPaused(log)) return "paused";
  const calls = callStatuses(log);
  const open = openQuestion(log);
  const timers = of(log, "timer_set").filter(
    (set) => !of(log, "timer_fired").some((fired) => fired.timerId === set.timerId && fired.at > set.at),
  );
  const stopped = open?.purpose === "errors" || open?.purpose === "budget";
  const backingOff = timers.some((timer) => timer.purpose === "model_retry");
  const undecided = lastInput(log) > lastSeen(log);
  if (calls.includes("approved") || calls.includes("running")) return "running";
  if (calls.includes("chosen") && !undecided) return "running";
  if (undecided && !stopped && !backingOff) return "running";
  if (calls.length > 0 || open !== undefined || timers.length > 0) return "waiting";
  return "done";
}

function isPaused(log: readonly ThreadEvent[]): boolean {
  return latest(of(log, "paused").map(({ at }) => at)) > latest(of(log, "resumed").map(({ at }) => at));
}

const yesOrNo = (text: string): boolean => text === "yes" || text === "no";

/** The message that answers a question, if there is one. */
function answerTo(
  log: readonly ThreadEvent[],
  asked: EventOf<"question_asked"> & { at: number },
): number | undefined {
  const next = of(log, "question_asked").find((other) => other.at > asked.at)?.at ?? Number.POSITIVE_INFINITY;
  const messages = of(log, "message_received").filter(({ at }) => at > asked.at && at < next);
  return messages.find(({ text }) => asked.purpose !== "tool_outcome" || yesOrNo(text))?.at;
}

function openQuestion(log: readonly ThreadEvent[]): EventOf<"question_asked"> | undefined {
  const asked = of(log, "question_asked").at(-1);
  if (asked === undefined || answerTo(log, asked) !== undefined) return undefined;
  const settled = of(log, "tool_settled").some(({ callId, at }) => callId === asked.callId && at > asked.at);
  return settled ? undefined : asked;
}

/** The statuses of the calls that are open. */
function callStatuses(log: readonly ThreadEvent[]): string[] {
  const steps = of(log, "step_decided");
  const runEnds = of(log, "run_ended");
  return steps.flatMap((step) => {
    if (step.decision.type !== "call") return [];
    return step.decision.calls.flatMap((call) => {
      const after = log.filter(({ seq }) => seq > step.at);
      const status = lastWordOn(call.callId, after);
      const dropped = status === "chosen" && [...steps, ...runEnds].some(({ at }) => at > step.at);
      return status === "gone" || dropped ? [] : [status];
    });
  });
}

function lastWordOn(callId: string, log: readonly ThreadEvent[]): string {
  const asked = of(log, "approval_requested").find((request) => request.callId === callId);
  const outcomeAsked = of(log, "question_asked").filter(
    (question) => question.purpose === "tool_outcome" && question.callId === callId,
  );
  if (outcomeAsked.some((question) => answerTo(log, question) !== undefined)) return "gone";
  let status = "chosen";
  for (const { type, data } of log) {
    if (type === "approval_requested" && data.callId === callId) status = "awaiting";
    if (type === "approval_decided" && data.approvalId === asked?.approvalId) {
      if (data.verdict === "reject") status = "gone";
      else if (data.verdict !== "ask_back" && data.final) status = "approved";
    }
    if (type === "approval_expired" && data.approvalId === asked?.approvalId && data.consequence === "deny")
      status = "gone";
    if (type === "approval_withdrawn" && data.approvalId === asked?.approvalId) status = "gone";
    if (type === "tool_started" && data.callId === callId) status = "running";
    if (type === "tool_outcome_unknown" && data.callId === callId) status = "unknown";
    if (type === "tool_finished" || type === "tool_failed" || type === "tool_settled") {
      if (data.callId === callId) status = "gone";
    }
  }
  return status;
}

/** The newest event that a decision has to see. */
function lastInput(log: readonly ThreadEvent[]): number {
  const asks = log.filter(({ type, data }) => {
    switch (type) {
      case "message_received":
      case "tool_finished":
      case "tool_failed":
      case "tool_settled":
      case "timer_fired":
        return true;
      case "step_decided":
        return data.decision.type === "invalid";
      case "approval_decided":
        return data.verdict === "reject" || data.verdict === "ask_back";
      case "approval_expired":
        return data.consequence === "deny";
      default:
        return false;
    }
  });
  return latest(asks.map(({ seq }) => seq));
}

/** How far the newest decision has seen. Whoever gives up has seen all there was. */
function lastSeen(log: readonly ThreadEvent[]): number {
  const steps = of(log, "step_decided").map(({ basisSeq }) => basisSeq);
  const failures = of(log, "model_failed").filter(({ retryTimerId }) => retryTimerId === null);
  const ends = of(log, "run_ended").filter(({ outcome }) => outcome === "step_limit" || outcome === "failed");
  return latest([...steps, ...failures.map(({ basisSeq }) => basisSeq), ...ends.map(({ at }) => at)]);
}
