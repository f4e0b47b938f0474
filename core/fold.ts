/**
 * The fold from log to state. Pure and total: any sequence of known events, in any broken order, gives a state and
 * never throws; an event that does not fit the state is a late duplicate and changes nothing but the position.
 */
import type { EventOf, EventType, ThreadEvent } from "./events.ts";
import type { JsonObject } from "./json.ts";
import { readExtension, readYesNo } from "./plain-answers.ts";
import {
  emptyThread,
  needsCleaning,
  type OpenCall,
  type ThreadState,
  type TranscriptItem,
} from "./thread.ts";
import type { Sender } from "./words.ts";

type Apply<T extends EventType> = (state: ThreadState, facts: EventOf<T>, event: ThreadEvent) => ThreadState;

/** Folds events onto a state. Events at or below the state's position are already in it. */
export function fold(events: readonly ThreadEvent[], from: ThreadState = emptyThread): ThreadState {
  return events.reduce(applyEvent, from);
}

export function applyEvent(state: ThreadState, event: ThreadEvent): ThreadState {
  if (event.seq <= state.seq) return state;
  const apply = rules[event.type] as Apply<EventType>;
  return { ...apply(state, event.data, event), seq: event.seq };
}

/** A person's id where we know the person, otherwise the identity that the channel gave. */
export const senderKey = (sender: Sender): string => sender.person ?? `${sender.channel}:${sender.identity}`;

const rules: { [T in EventType]: Apply<T> } = {
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

  run_started(state, { runId, correlationId }) {
    if (state.run !== null) return state;
    const requesters = state.unanswered.reduce((all, { by }) => withRequester(all, by), [] as string[]);
    return {
      ...state,
      run: { runId, correlationId, steps: 0, tokens: 0, usd: 0, requesters, prefetched: {} },
    };
  },

  prefetched(state, { runId, name, outcome }, event) {
    if (state.run?.runId !== runId) return state;
    if (!outcome.ok)
      return withItem(state, {
        kind: "note",
        seq: event.seq,
        text: `Could not fetch ${name}: ${outcome.error}`,
      });
    return {
      ...state,
      run: { ...state.run, prefetched: { ...state.run.prefetched, [name]: outcome.result } },
    };
  },

  step_decided(state, step, event) {
    if (state.run?.runId !== step.runId || step.basisSeq <= state.seenSeq) return state;
    const tokens = (step.usage?.inputTokens ?? 0) + (step.usage?.outputTokens ?? 0);
    const usd = step.usage?.costUsd ?? 0;
    const counted: ThreadState = {
      ...state,
      run: {
        ...state.run,
        steps: state.run.steps + 1,
        tokens: state.run.tokens + tokens,
        usd: state.run.usd + usd,
      },
      spend: { tokens: state.spend.tokens + tokens, usd: state.spend.usd + usd },
      seenSeq: step.basisSeq,
      modelFailures: 0,
      // What was chosen but not begun is decided again by this step.
      calls: state.calls.filter((call) => call.status !== "chosen"),
    };
    switch (step.decision.type) {
      case "call":
        return {
          ...counted,
          calls: [
            ...counted.calls,
            ...step.decision.calls
              .filter((call) => !counted.calls.some((open) => open.callId === call.callId))
              .map(
                (call): OpenCall => ({
                  ...call,
                  status: "chosen",
                  approvalId: null,
                  digest: null,
                  attempt: 0,
                  idempotencyKey: null,
                }),
              ),
          ],
        };
      case "invalid":
        return {
          ...withItem(counted, { kind: "problem", seq: event.seq, text: step.decision.problem }),
          errorsInRow: counted.errorsInRow + 1,
          inputSeq: event.seq,
        };
      default:
        return counted;
    }
  },

  model_failed(state, failure) {
    if (state.run?.runId !== failure.runId) return state;
    const tokens = failure.usage.inputTokens + failure.usage.outputTokens;
    const usd = failure.usage.costUsd ?? 0;
    return {
      ...state,
      run: { ...state.run, tokens: state.run.tokens + tokens, usd: state.run.usd + usd },
      spend: { tokens: state.spend.tokens + tokens, usd: state.spend.usd + usd },
      modelFailures: state.modelFailures + 1,
      seenSeq: failure.retryTimerId === null ? Math.max(state.seenSeq, failure.basisSeq) : state.seenSeq,
    };
  },

  tool_started: (state, { callId, attempt, idempotencyKey }) =>
    withCall(state, callId, (call) =>
      call.status === "unknown" || attempt <= call.attempt
        ? call
        : { ...call, status: "running", attempt, idempotencyKey },
    ),

  tool_finished(state, { callId, result }, event) {
    const call = state.calls.find((open) => open.callId === callId);
    if (call === undefined) return state;
    const resolved = state.transcript.filter((item) => !(item.kind === "failure" && item.tool === call.tool));
    return {
      ...withItem(
        { ...withoutCall(state, callId), transcript: resolved },
        {
          kind: "result",
          seq: event.seq,
          tool: call.tool,
          args: call.args,
          result,
        },
      ),
      errorsInRow: 0,
      inputSeq: event.seq,
    };
  },

  tool_failed(state, { callId, error }, event) {
    const call = state.calls.find((open) => open.callId === callId);
    if (call === undefined) return state;
    return {
      ...withItem(withoutCall(state, callId), {
        kind: "failure",
        seq: event.seq,
        tool: call.tool,
        args: call.args,
        error,
      }),
      errorsInRow: state.errorsInRow + 1,
      inputSeq: event.seq,
    };
  },

  tool_outcome_unknown(state, { callId, error }, event) {
    const call = state.calls.find((open) => open.callId === callId);
    if (call === undefined) return state;
    const text = `${call.tool} was started, but nobody knows whether it happened (${error}). A person was asked.`;
    return withItem(
      withCall(state, callId, (open) => ({ ...open, status: "unknown" })),
      {
        kind: "note",
        seq: event.seq,
        text,
      },
    );
  },

  tool_settled: (state, { callId, happened, note }, event) =>
    settle(state, { callId, happened, note, seq: event.seq }),

  approval_requested(state, request, event) {
    if (!state.calls.some((call) => call.callId === request.callId && call.status === "chosen")) return state;
    const asked = withCall(state, request.callId, (call) => ({
      ...call,
      status: "awaiting",
      approvalId: request.approvalId,
      digest: request.digest,
    }));
    return withApprovalItem(asked, "requested", request.callId, { seq: event.seq, by: "", reason: "" });
  },

  approval_decided(state, decision, event) {
    const call = awaiting(state, decision.approvalId);
    if (call === undefined) return state;
    const by = decision.sender.name || senderKey(decision.sender);
    const facts = { seq: event.seq, by, reason: decision.reason ?? "" };
    if (decision.verdict === "ask_back") {
      return { ...withApprovalItem(state, "asked_back", call.callId, facts), inputSeq: event.seq };
    }
    if (decision.verdict === "reject") {
      const told = withApprovalItem(state, "rejected", call.callId, facts);
      return { ...withoutCall(told, call.callId), inputSeq: event.seq };
    }
    const edited = decision.verdict === "edit";
    if (!edited && decision.digest !== call.digest) return state;
    const args: JsonObject = edited && decision.args !== null ? decision.args : call.args;
    // An edit that still waits for a quorum is what the others now decide about.
    const status = decision.final ? "approved" : "awaiting";
    const counted = withCall(state, call.callId, (open) => ({
      ...open,
      status,
      args,
      digest: decision.digest,
    }));
    if (!decision.final) return counted;
    return withApprovalItem(counted, edited ? "edited" : "approved", call.callId, facts);
  },

  approval_expired(state, { approvalId, consequence }, event) {
    const call = awaiting(state, approvalId);
    if (call === undefined) return state;
    const told = withApprovalItem(state, "expired", call.callId, {
      seq: event.seq,
      by: "",
      reason: consequence,
    });
    return consequence === "deny" ? { ...withoutCall(told, call.callId), inputSeq: event.seq } : told;
  },

  approval_withdrawn(state, { approvalId, reason }, event) {
    // Until it has begun: an approval that was given can be withdrawn as well.
    const call =
      awaiting(state, approvalId) ??
      state.calls.find((open) => open.approvalId === approvalId && open.status === "approved");
    if (call === undefined) return state;
    const told = withApprovalItem(state, "withdrawn", call.callId, { seq: event.seq, by: "", reason });
    return withoutCall(told, call.callId);
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

  reply_committed(state, { text, answers }, event) {
    return {
      ...withItem(state, { kind: "reply", seq: event.seq, text }),
      unanswered: state.unanswered.filter(({ seq }) => !answers.includes(seq)),
    };
  },

  run_ended(state, { runId, outcome }) {
    const cleaned = outcome === "cancelled" && state.halted === "cancelled";
    if (state.run?.runId !== runId && !cleaned) return state;
    const kept = cleaned ? ["unknown"] : ["awaiting", "approved", "running", "unknown"];
    const calls = state.calls.filter((call) => kept.includes(call.status));
    // A run that gave up has dealt with all it was given; whoever ended it said so in the same commit.
    const gaveUp = outcome === "step_limit" || outcome === "failed" || outcome === "cancelled";
    const seenSeq = gaveUp ? Math.max(state.seenSeq, state.inputSeq) : state.seenSeq;
    const closed = { ...state, run: null, calls, seenSeq, errorsInRow: 0, modelFailures: 0 };
    const since = cleaned ? state.unanswered[0] : undefined;
    return since === undefined ? closed : { ...closed, halted: null, seenSeq: since.seq - 1 };
  },

  handed_off(state, { to, toKind, reason }, event) {
    const told = withItem(state, { kind: "note", seq: event.seq, text: `Handed over to ${to}: ${reason}` });
    return toKind === "agent"
      ? { ...told, agent: to, handoffs: state.handoffs + 1, inputSeq: event.seq }
      : told;
  },

  context_compacted(state, { throughSeq, summary }) {
    const kept = state.transcript.filter((item) => item.seq > throughSeq);
    return kept.length === state.transcript.length ? state : { ...state, transcript: kept, summary };
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

function settle(
  state: ThreadState,
  { callId, happened, note, seq }: { callId: string; happened: boolean; note: string; seq: number },
): ThreadState {
  const call = state.calls.find((open) => open.callId === callId && open.status === "unknown");
  if (call === undefined) return state;
  const { tool, args } = call;
  const question = state.question?.callId === callId ? null : state.question;
  const settled = { ...withoutCall(state, callId), question, inputSeq: seq };
  return happened
    ? withItem(settled, {
        kind: "result",
        seq,
        tool,
        args,
        result: `A person confirmed that it happened. ${note}`,
      })
    : withItem(settled, {
        kind: "failure",
        seq,
        tool,
        args,
        error: `A person says that it did not happen. ${note}`,
      });
}

const withItem = (state: ThreadState, item: TranscriptItem): ThreadState => ({
  ...state,
  transcript: [...state.transcript, item],
});

function withApprovalItem(
  state: ThreadState,
  outcome: Extract<TranscriptItem, { kind: "approval" }>["outcome"],
  callId: string,
  facts: { seq: number; by: string; reason: string },
): ThreadState {
  const call = state.calls.find((open) => open.callId === callId);
  if (call === undefined) return state;
  return withItem(state, { kind: "approval", outcome, tool: call.tool, args: call.args, ...facts });
}

const withCall = (state: ThreadState, callId: string, change: (call: OpenCall) => OpenCall): ThreadState => ({
  ...state,
  calls: state.calls.map((call) => (call.callId === callId ? change(call) : call)),
});

const withoutCall = (state: ThreadState, callId: string): ThreadState => ({
  ...state,
  calls: state.calls.filter((call) => call.callId !== callId),
});

const awaiting = (state: ThreadState, approvalId: string): OpenCall | undefined =>
  state.calls.find((call) => call.approvalId === approvalId && call.status === "awaiting");

const withRequester = (requesters: readonly string[], by: string): string[] =>
  requesters.includes(by) ? [...requesters] : [...requesters, by];
