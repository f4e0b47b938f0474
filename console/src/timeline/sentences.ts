/** One sentence for each type of event. Complete by its type: a new event does not compile until it has words. */
import type { EventOf, EventType } from "../../../core/events.ts";
import type { Decision } from "../../../core/step.ts";
import type { EventView } from "../../../gateway/api.ts";
import { bindingText, costText, counted, countText, fullTime, latencyText } from "../app/words.ts";

const quote = (text: string): string => `“${text}”`;
const because = (reason: string | null): string => (reason === null || reason === "" ? "" : `: ${reason}`);
const short = (digest: string): string => digest.slice(0, 12);

const sentences: { [T in EventType]: (data: EventOf<T>) => string } = {
  thread_started: ({ agent, home, forkedFrom }) =>
    forkedFrom === undefined
      ? `The thread starts with ${agent} at ${bindingText(home)}`
      : `The thread is forked from ${forkedFrom.threadId} at ${forkedFrom.seq}`,
  message_received: ({ sender, text, via, attachments }) =>
    `${sender.name || sender.identity} writes by ${via.channel}: ${quote(text)}${
      attachments.length > 0 ? ` with ${counted(attachments.length, "attachment")}` : ""
    }`,
  run_started: () => "A run starts",
  prefetched: ({ name, outcome }) =>
    outcome.ok ? `${name} is looked up beforehand` : `${name} could not be looked up: ${outcome.error}`,
  step_decided: ({ decision, confidence }) =>
    `${decisionText(decision)} (confidence ${Math.round(confidence * 100)}%)`,
  model_failed: ({ kind, error, retryTimerId }) =>
    `The model failed (${kind}): ${error}${retryTimerId === null ? "" : " It is tried again."}`,
  tool_started: ({ attempt, approvalId }) =>
    `The tool call begins, attempt ${attempt}${approvalId === null ? "" : ", as approved"}`,
  tool_finished: ({ durationMs }) => `The tool call is done after ${latencyText(durationMs)}`,
  tool_failed: ({ error, durationMs }) => `The tool call failed after ${latencyText(durationMs)}: ${error}`,
  tool_outcome_unknown: ({ error }) => `Nobody knows whether the tool call happened: ${error}`,
  tool_settled: ({ happened, note }) =>
    `A person settles that the tool call ${happened ? "happened" : "did not happen"}${because(note)}`,
  approval_requested: ({ tool, policy, digest, code }) =>
    `Approval for ${tool} is asked for, policy ${policy}, digest ${short(digest)}, code ${code}`,
  approval_decided: ({ verdict, sender, reason, digest, final }) =>
    `${sender.name || sender.identity} ${verdictText[verdict]} digest ${short(digest)}${because(reason)}${
      final ? "" : " (not final yet)"
    }`,
  approval_expired: ({ consequence }) => `The approval expires: ${expiryText[consequence]}`,
  approval_withdrawn: ({ reason }) => `The approval is withdrawn${because(reason)}`,
  question_asked: ({ text }) => `A question is asked: ${quote(text)}`,
  timer_set: ({ dueAt, purpose }) =>
    `A timer is set for ${fullTime(dueAt)}${purpose === "model_retry" ? " to ask the model again" : ""}`,
  timer_fired: () => "The timer is due",
  reply_committed: ({ text, answers }) =>
    `A reply to ${counted(answers.length, "message")} is committed: ${quote(text)}`,
  run_ended: ({ outcome }) => `The run ends: ${outcomeText[outcome]}`,
  handed_off: ({ to, toKind, reason }) => `Handed over to the ${toKind} ${to}${because(reason)}`,
  context_compacted: ({ throughSeq }) => `What was said up to ${throughSeq} is kept as a summary`,
  budget_extended: ({ tokens, usd }) =>
    `The budget is extended by ${countText(tokens)} tokens and ${costText(usd)}`,
  paused: ({ reason }) => `The thread is paused${because(reason)}`,
  resumed: () => "The thread is resumed",
  cancelled: ({ reason }) => `The thread is cancelled${because(reason)}`,
};

const verdictText: Record<EventOf<"approval_decided">["verdict"], string> = {
  approve: "approves",
  reject: "rejects",
  edit: "approves with other arguments,",
  ask_back: "asks back about",
};
const expiryText: Record<EventOf<"approval_expired">["consequence"], string> = {
  deny: "it counts as denied",
  wait: "it goes on waiting",
  escalate: "further people may decide now",
};
const outcomeText: Record<EventOf<"run_ended">["outcome"], string> = {
  replied: "replied",
  finished: "finished",
  handed_off: "handed over",
  step_limit: "at its step limit",
  failed: "failed",
  cancelled: "cancelled",
};

function decisionText(decision: Decision): string {
  switch (decision.type) {
    case "call":
      return `The agent chooses to run ${decision.calls.map(({ tool }) => tool).join(", ")}`;
    case "reply":
      return "The agent chooses to reply";
    case "ask":
      return "The agent chooses to ask a person";
    case "wait":
      return `The agent chooses to wait until ${fullTime(decision.dueAt)}${because(decision.reason)}`;
    case "handoff":
      return `The agent chooses to hand over to ${decision.to}`;
    case "finish":
      return "The agent chooses to finish";
    case "invalid":
      return `The answer of the model could not be used: ${decision.problem}`;
  }
}

export function sentenceOf(event: EventView): string {
  /** The map has the right function for each type; TypeScript cannot correlate the two members by itself. */
  const say = sentences[event.type] as (data: EventView["data"]) => string;
  return say(event.data);
}
