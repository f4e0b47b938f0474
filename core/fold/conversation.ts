/** What comes from outside: messages, answers, timers, budgets, and people who pause or cancel. */
import { readExtension, readYesNo } from "../plain-answers.ts";
import { needsCleaning, type ThreadState } from "../thread.ts";
import { type Rules, senderKey, withItem, withRequester } from "./state.ts";
import { settle } from "./tool-calls.ts";

export const conversationRules: Rules<
  | "thread_started"
  | "message_received"
  | "question_asked"
  | "timer_set"
  | "timer_fired"
  | "budget_extended"
  | "paused"
  | "resumed"
  | "cancelled"
> = {
  thread_started: (state, { agent, home }) => (state.agent === "" ? { ...state, agent, home } : state),

  message_received(state, message, event) {
    const by = senderKey(message.sender);
    const said = withItem(state, {
      kind: "message",
      seq: event.seq,
      from: message.sender.name || by,
      text: message.text,
    });
    const heard: ThreadState = {
      ...said,
      unanswered: [...state.unanswered, { seq: event.seq, by }],
      latest: {
        seq: event.seq,
        via: message.via,
        sender: message.sender,
        correlationId: message.correlationId,
      },
      inputSeq: event.seq,
      handoffs: 0,
      // A message wakes a cancelled thread, but not before what the cancellation stopped has been closed.
      halted: state.halted === "cancelled" && !needsCleaning(state) ? null : state.halted,
      run: state.run && { ...state.run, requesters: withRequester(state.run.requesters, by) },
    };
    return answerQuestion(heard, message.text, event.seq);
  },

  question_asked(state, { runId: _, ...question }, event) {
    return withItem({ ...state, question }, { kind: "reply", seq: event.seq, text: question.text });
  },

  timer_set: (state, timer) =>
    state.timers.some((set) => set.timerId === timer.timerId)
      ? state
      : { ...state, timers: [...state.timers, timer] },

  timer_fired(state, { timerId }, event) {
    const timer = state.timers.find((set) => set.timerId === timerId);
    if (timer === undefined) return state;
    const rung: ThreadState = {
      ...state,
      timers: state.timers.filter((set) => set !== timer),
      inputSeq: event.seq,
    };
    return timer.purpose === "wait"
      ? withItem(rung, { kind: "note", seq: event.seq, text: "The wait is over." })
      : rung;
  },

  budget_extended: (state, { tokens, usd }) => ({
    ...state,
    extension: { tokens: state.extension.tokens + tokens, usd: state.extension.usd + usd },
  }),

  paused: (state) => (state.halted === null ? { ...state, halted: "paused" } : state),

  resumed: (state) => (state.halted === "paused" ? { ...state, halted: null } : state),

  cancelled: (state, _, { seq }) => ({
    ...state,
    halted: "cancelled",
    seenSeq: seq,
    timers: [],
    question: null,
  }),
};

/**
 * A message closes the open question; for the questions that code asks, a plain yes or no has a fixed meaning. A call
 * whose outcome is unknown can be settled as long as it is open, whatever was asked since, unless that is a yes or no of
 * the agent's own.
 */
function answerQuestion(state: ThreadState, text: string, seq: number): ThreadState {
  const { question } = state;
  const unknown = state.calls.find((call) => call.status === "unknown");
  const agentAsked = question?.purpose === "agent" && question.format.kind === "yes_no";
  const happened = unknown === undefined || agentAsked ? null : readYesNo(text);
  if (unknown !== undefined && happened !== null) {
    const callId =
      question?.purpose === "tool_outcome" ? (question.callId ?? unknown.callId) : unknown.callId;
    return settle(state, { callId, happened, note: "A person was asked.", seq });
  }
  if (question === null || question.purpose === "tool_outcome") return state;
  const times = question.purpose === "budget" ? (readExtension(text) ?? 0) : 0;
  const grant = question.grant ?? { tokens: 0, usd: 0 };
  return {
    ...state,
    question: null,
    errorsInRow: question.purpose === "errors" ? 0 : state.errorsInRow,
    extension: {
      tokens: state.extension.tokens + times * grant.tokens,
      usd: state.extension.usd + times * grant.usd,
    },
  };
}
