/**
 * What a person reads of a thread, folded from its log. Pure: the same events give the same items, in the log's order.
 * The timeline shows every event; this shows what was said, what was asked, and what was done.
 */
import type { EventOf } from "../../../core/events.ts";
import type { Question } from "../../../core/step.ts";
import type { EventView } from "../../../gateway/api.ts";
import { actorName, shortTime } from "../app/words.ts";

interface At {
  seq: number;
  at: string;
}

export type MessageItem = At & {
  kind: "message";
  from: string;
  /** By the person who is signed in. */
  isOwn: boolean;
  messageId: string;
  text: string;
  channel: string;
  attachments: EventOf<"message_received">["attachments"];
};
export type ReplyItem = At & { kind: "reply"; from: string; text: string };
export type ToolItem = At & {
  kind: "tool";
  callId: string;
  tool: string;
  state: "running" | "done" | "failed" | "unknown";
  text: string;
};
export type ApprovalItem = At & { kind: "approval"; approvalId: string };
export type QuestionItem = At & { kind: "question"; from: string; question: Question; isOpen: boolean };
export type NoteItem = At & { kind: "note"; tone: "neutral" | "bad"; text: string };
export type Item = MessageItem | ReplyItem | ToolItem | ApprovalItem | QuestionItem | NoteItem;

export interface Conversation {
  items: Item[];
  agent: string;
  /** The agent has something to do now: nobody is waited for. */
  isWorking: boolean;
}

interface Fold extends Conversation {
  person: string;
  toolNames: Map<string, string>;
}

export function conversationOf(events: readonly EventView[], person: string): Conversation {
  const fold: Fold = { items: [], agent: "", isWorking: false, person, toolNames: new Map() };
  for (const event of events) {
    fold.isWorking = worksAfter(event) ?? fold.isWorking;
    add(fold, event);
  }
  return fold;
}

function add(fold: Fold, event: EventView): void {
  const at: At = { seq: event.seq, at: event.at };
  const note = (text: string, tone: NoteItem["tone"] = "neutral") =>
    fold.items.push({ ...at, kind: "note", tone, text });
  switch (event.type) {
    case "thread_started":
      fold.agent = event.data.agent;
      if (event.data.forkedFrom) note("Forked from another thread");
      return;
    case "message_received":
      addMessage(fold, event.data, at);
      return;
    case "step_decided":
      addStep(fold, event.data);
      return;
    case "tool_started":
    case "tool_finished":
    case "tool_failed":
    case "tool_outcome_unknown":
    case "tool_settled":
      addTool(fold, event);
      return;
    case "approval_requested":
      fold.items.push({ ...at, kind: "approval", approvalId: event.data.approvalId });
      return;
    case "approval_decided":
      if (event.data.verdict === "ask_back") {
        note(`${actorName(event.actor)} asks first: ${event.data.reason ?? ""}`);
      }
      return;
    case "question_asked":
      closeQuestion(fold);
      fold.items.push({ ...at, kind: "question", from: fold.agent, question: event.data, isOpen: true });
      return;
    case "reply_committed":
      fold.items.push({ ...at, kind: "reply", from: fold.agent, text: event.data.text });
      return;
    case "timer_set":
      if (event.data.purpose === "wait") note(`Waits until ${shortTime(event.data.dueAt)}`);
      return;
    case "model_failed":
      note(
        `The model could not answer: ${event.data.error}${event.data.retryTimerId === null ? "" : " Another attempt follows."}`,
        "bad",
      );
      return;
    case "handed_off":
      note(`Handed over to ${event.data.to}: ${event.data.reason}`);
      if (event.data.toKind === "agent") fold.agent = event.data.to;
      return;
    case "run_ended":
      if (event.data.outcome === "failed") note("The run failed", "bad");
      if (event.data.outcome === "step_limit") note("The run ended at its step limit", "bad");
      return;
    case "budget_extended":
      note(`${actorName(event.actor)} extended the budget`);
      return;
    case "paused":
      note(`Paused by ${actorName(event.actor)}${reasonText(event.data.reason)}`);
      return;
    case "resumed":
      note(`Resumed by ${actorName(event.actor)}`);
      return;
    case "cancelled":
      closeQuestion(fold);
      note(`Cancelled by ${actorName(event.actor)}${reasonText(event.data.reason)}`);
      return;
    case "run_started":
    case "prefetched":
    case "approval_expired":
    case "approval_withdrawn":
    case "timer_fired":
    case "context_compacted":
      return;
    default:
      event satisfies never;
  }
}

const reasonText = (reason: string): string => (reason === "" ? "" : `: ${reason}`);

function addMessage(fold: Fold, data: EventOf<"message_received">, at: At): void {
  closeQuestion(fold);
  fold.items.push({
    ...at,
    kind: "message",
    from: data.sender.name || data.sender.identity,
    isOwn: data.sender.person !== undefined && data.sender.person === fold.person,
    messageId: data.messageId,
    text: data.text,
    channel: data.via.channel,
    attachments: data.attachments,
  });
}

function addStep(fold: Fold, { decision }: EventOf<"step_decided">): void {
  if (decision.type !== "call") return;
  for (const call of decision.calls) fold.toolNames.set(call.callId, call.tool);
}

type ToolEvent = Extract<
  EventView,
  { type: "tool_started" | "tool_finished" | "tool_failed" | "tool_outcome_unknown" | "tool_settled" }
>;

/** One line for each call, however often it is tried. */
function addTool(fold: Fold, event: ToolEvent): void {
  const { callId } = event.data;
  const before = fold.items.findIndex((item) => item.kind === "tool" && item.callId === callId);
  const item: ToolItem = {
    kind: "tool",
    seq: event.seq,
    at: event.at,
    callId,
    tool: fold.toolNames.get(callId) ?? "a tool",
    ...toolState(event),
  };
  if (before === -1) fold.items.push(item);
  else fold.items[before] = { ...item, seq: fold.items[before]?.seq ?? item.seq };
}

function toolState(event: ToolEvent): Pick<ToolItem, "state" | "text"> {
  switch (event.type) {
    case "tool_started":
      return { state: "running", text: event.data.attempt > 1 ? `attempt ${event.data.attempt}` : "" };
    case "tool_finished":
      return { state: "done", text: `${Math.round(event.data.durationMs)} ms` };
    case "tool_failed":
      return { state: "failed", text: event.data.error };
    case "tool_outcome_unknown":
      return { state: "unknown", text: event.data.error };
    case "tool_settled":
      return { state: event.data.happened ? "done" : "failed", text: event.data.note };
  }
}

function closeQuestion(fold: Fold): void {
  fold.items = fold.items.map((item) => (item.kind === "question" ? { ...item, isOpen: false } : item));
}

/** Null: the event says nothing about it. */
function worksAfter(event: EventView): boolean | null {
  switch (event.type) {
    case "message_received":
    case "run_started":
    case "timer_fired":
      return true;
    case "step_decided":
      return event.data.decision.type === "call" || event.data.decision.type === "invalid";
    case "approval_decided":
      return event.data.final && event.data.verdict !== "ask_back";
    case "approval_requested":
    case "question_asked":
    case "timer_set":
    case "run_ended":
    case "paused":
    case "cancelled":
      return false;
    default:
      return null;
  }
}
