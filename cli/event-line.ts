/** One event of a log as one or more lines for people. Everything in it is safe to print. */
import { visibleText } from "../core/approval.ts";
import type { EventOf, EventType, ThreadEvent } from "../core/events.ts";
import type { Sender } from "../core/words.ts";
import { argumentFields, paint, safeLines } from "./terminal.ts";

type Describe<T extends EventType> = (facts: EventOf<T>) => string;

const nameOf = (sender: Sender): string => visibleText(sender.name || sender.person || sender.identity);
const clean = visibleText;
const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

const descriptions: { [T in EventType]: Describe<T> } = {
  thread_started: ({ agent, forkedFrom }) =>
    forkedFrom === undefined
      ? `started with ${clean(agent)}`
      : `forked from ${clean(forkedFrom.threadId)} at event ${forkedFrom.seq}, with ${clean(agent)}`,
  message_received: ({ sender, text }) => `${paint("bold", nameOf(sender))}: ${safeLines(text)}`,
  run_started: () => "run started",
  prefetched: ({ name, outcome }) =>
    outcome.ok ? `fetched ${clean(name)}` : `could not fetch ${clean(name)}: ${clean(outcome.error)}`,
  step_decided: ({ decision, reasoning, confidence, usage }) =>
    `decided: ${decisionText(decision)} (${confidence.toFixed(2)}) ${clean(reasoning)}${usageText(usage)}`,
  model_failed: ({ kind, error }) => `model failed (${clean(kind)}): ${clean(error)}`,
  tool_started: ({ callId, attempt }) => `tool call ${clean(callId)} started, attempt ${attempt}`,
  tool_finished: ({ callId, result, durationMs }) =>
    `tool call ${clean(callId)} finished in ${Math.round(durationMs)} ms: ${clean(JSON.stringify(result))}`,
  tool_failed: ({ callId, error }) => `tool call ${clean(callId)} failed: ${clean(error)}`,
  tool_outcome_unknown: ({ callId, error }) =>
    `tool call ${clean(callId)}: nobody knows whether it happened (${clean(error)})`,
  tool_settled: ({ callId, happened, note }) =>
    `tool call ${clean(callId)} ${happened ? "happened" : "did not happen"}: ${clean(note)}`,
  approval_requested: ({ tool, code, digest, args, policy }) =>
    `approval ${clean(code)} asked for ${clean(tool)} (policy ${clean(policy)}, digest ${clean(digest.slice(0, 12))})\n${argumentFields(args, "        ")}`,
  approval_decided: ({ verdict, sender, reason, final }) =>
    `${verdictTexts[verdict]} by ${nameOf(sender)}${reason === null ? "" : `: ${clean(reason)}`}${final ? "" : " (more people have to agree)"}`,
  approval_expired: ({ consequence }) => `the approval expired: ${consequence}`,
  approval_withdrawn: ({ reason }) => `the approval was withdrawn: ${clean(reason)}`,
  question_asked: ({ text }) => `asked: ${safeLines(text)}`,
  timer_set: ({ dueAt, purpose }) => `timer (${purpose}) set for ${clean(dueAt)}`,
  timer_fired: () => "timer fired",
  reply_committed: ({ text }) => `${paint("bold", "reply")}: ${safeLines(text)}`,
  run_ended: ({ outcome }) => `run ended: ${outcome}`,
  handed_off: ({ to, reason }) => `handed over to ${clean(to)}: ${clean(reason)}`,
  context_compacted: ({ throughSeq }) => `events up to ${throughSeq} are summarized from here on`,
  budget_extended: ({ tokens, usd }) => `budget extended by ${plural(tokens, "token")} and ${usd} USD`,
  paused: ({ reason }) => `paused: ${clean(reason)}`,
  resumed: () => "resumed",
  cancelled: ({ reason }) => `cancelled: ${clean(reason)}`,
};

const verdictTexts = {
  approve: "approved",
  reject: "rejected",
  edit: "edited and approved",
  ask_back: "asked back",
};

function decisionText(decision: EventOf<"step_decided">["decision"]): string {
  if (decision.type === "call") return decision.calls.map(({ tool }) => `call ${clean(tool)}`).join(", ");
  return decision.type;
}

const usageText = (usage: EventOf<"step_decided">["usage"]): string =>
  usage === null
    ? ""
    : paint(
        "dim",
        ` [${clean(usage.model)}, prompt ${clean(usage.promptVersion)}, ${usage.inputTokens}+${usage.outputTokens} tokens, ${Math.round(usage.latencyMs)} ms]`,
      );

export function describeEvent(event: ThreadEvent): string {
  const describe = descriptions[event.type] as Describe<EventType>;
  return describe(event.data);
}
