/** What has to hold of every sequence once it is drained: read from the log, the outbox and the journal. */
import { isDeepStrictEqual } from "node:util";
import type { ThreadEvent } from "../../core/events.ts";
import { applyEvent } from "../../core/fold.ts";
import { emptyThread, hasUnseenInput, type ThreadState, threadStatus } from "../../core/thread.ts";
import type { Journal } from "./journal.ts";
import type { ReferenceStore, ThreadRow } from "./reference-log.ts";

/** Judges a thread that rests; what is broken goes into the journal. */
export function judge(store: ReferenceStore, thread: ThreadRow, journal: Journal): void {
  const states = statesOf(thread.events);
  const state = states.at(-1) ?? emptyThread;
  thread.events.forEach(({ seq }, index) => {
    if (seq !== index + 1) journal.broken("in order", `event ${seq} stands at ${index + 1}`);
  });
  oneRunAtATime(thread.events, journal);
  steered(thread.events, states, journal);
  approvalsBeginOnce(thread.events, journal);
  writtenBefore(thread.events, journal);
  for (const held of journal.states) {
    if (!isDeepStrictEqual(held, states[held.seq])) {
      journal.broken("state is the fold", `a worker held another state at ${held.seq} than the log says`);
    }
  }
  answeredOnce({ store, thread, state, journal });
  waitsVisibly({ store, thread, state, journal });
}

/** The state after each event; the first is the empty one. */
function statesOf(events: readonly ThreadEvent[]): ThreadState[] {
  const states = [emptyThread];
  for (const event of events) states.push(applyEvent(states.at(-1) ?? emptyThread, event));
  return states;
}

function oneRunAtATime(events: readonly ThreadEvent[], journal: Journal): void {
  let open: string | null = null;
  for (const { type, data, seq } of events) {
    if (type === "run_started") {
      if (open !== null) journal.broken("one run at a time", `a run began at ${seq} within another`);
      open = data.runId;
    }
    if (type === "step_decided" && data.runId !== open) {
      journal.broken("one run at a time", `the step at ${seq} belongs to no open run`);
    }
    if (type === "run_ended") open = null;
  }
}

/** Nothing begins in a halted thread, and nothing that was only chosen begins over a message that no decision has seen. */
function steered(events: readonly ThreadEvent[], states: readonly ThreadState[], journal: Journal): void {
  events.forEach(({ type, data, seq }, index) => {
    const before = states[index];
    if (type !== "tool_started" || before === undefined) return;
    const call = before.calls.find(({ callId }) => callId === data.callId);
    if (call === undefined) journal.broken("steered", `a call began at ${seq} that was not open`);
    if (before.halted !== null) journal.broken("steered", `a call began at ${seq} while ${before.halted}`);
    if (call?.status === "chosen" && hasUnseenInput(before)) {
      journal.broken("steered", `a call began at ${seq} although something new had come`);
    }
  });
}

function approvalsBeginOnce(events: readonly ThreadEvent[], journal: Journal): void {
  const spent = new Set<string>();
  for (const { type, data, seq } of events) {
    if (type === "approval_withdrawn" || (type === "approval_expired" && data.consequence === "deny")) {
      spent.add(data.approvalId);
      journal.count(type);
    }
    if (type === "approval_decided" && data.verdict === "reject" && data.final) spent.add(data.approvalId);
    if (type !== "tool_started" || data.approvalId === null || data.attempt > 1) continue;
    if (spent.has(data.approvalId)) {
      journal.broken("approval used once", `an approval that was used or closed began a call at ${seq}`);
    }
    spent.add(data.approvalId);
  }
}

/** No tool runs of which the log does not say that it began. */
function writtenBefore(events: readonly ThreadEvent[], journal: Journal): void {
  const started = events.flatMap((event) =>
    event.type === "tool_started" ? [`${event.data.callId} ${event.data.attempt}`] : [],
  );
  for (const { callId, attempt, tool } of journal.begun) {
    if (!started.includes(`${callId} ${attempt}`)) {
      journal.broken("written before it runs", `${tool} ran, and the log does not say that it began`);
    }
  }
  for (const { type } of events) if (type === "tool_outcome_unknown") journal.count(type);
}

interface Rested {
  store: ReferenceStore;
  thread: ThreadRow;
  state: ThreadState;
  journal: Journal;
}

/** Every accepted message is answered by one reply, or it waits where somebody can see for what. */
function answeredOnce({ store, state, journal }: Rested): void {
  const replies = store.tables.outbox.filter(({ kind }) => kind === "reply");
  for (const [key, seq] of journal.accepted) {
    const answers = replies.filter((reply) => reply.answers.includes(seq)).length;
    const waits = state.unanswered.some((message) => message.seq === seq);
    if (answers > 1) journal.broken("answered once", `${key} is answered ${answers} times`);
    if (answers === 1 && waits) journal.broken("answered once", `${key} is answered and waits still`);
    if (answers === 0 && !waits) journal.broken("answered once", `${key} is lost`);
    const status = threadStatus(state);
    if (waits && status !== "waiting" && status !== "paused") {
      journal.broken("answered once", `${key} has no answer, and the thread is ${status}`);
    }
  }
  for (const { answers } of replies) if (answers.length > 1) journal.count("merged");
}

function waitsVisibly({ store, thread, state, journal }: Rested): void {
  const { approvals, timers, outbox } = store.tables;
  if (thread.status !== threadStatus(state)) {
    journal.broken("state is the fold", `it shows ${thread.status} and is ${threadStatus(state)}`);
  }
  for (const { status, approvalId, digest } of state.calls) {
    const row = approvals.get(approvalId ?? "");
    if (status === "awaiting" && (row?.status !== "pending" || row.digest !== digest)) {
      journal.broken("comes to rest", `it waits for an approval that is ${row?.status ?? "missing"}`);
    }
  }
  for (const { timerId } of state.timers) {
    if (!timers.has(timerId)) journal.broken("comes to rest", "it waits for a timer that nobody has set");
  }
  const { question } = state;
  if (question !== null && !outbox.some(({ content }) => content.questionId === question.questionId)) {
    journal.broken("comes to rest", "it waits for an answer to a question that nobody was asked");
  }
}
