/**
 * Stories: logs as the runtime and the people around it could have written them. Each turn is one thing that may happen in
 * the state the log is in, picked by a number, so that fast-check can draw and shrink stories. What each turn writes follows
 * the loop's commits; the store's rules (one row for each approval) are kept by drawing approvals from the state alone.
 */
import fc from "fast-check";
import type { NewEvent, ThreadEvent } from "../../core/events.ts";
import { applyEvent, fold } from "../../core/fold.ts";
import { type LoopLimits, nextAction } from "../../core/next-action.ts";
import type { Call, Decision, Question } from "../../core/step.ts";
import { emptyThread, type OpenCall, type ThreadState } from "../../core/thread.ts";
import type { Actor } from "../../core/words.ts";
import { binding, numbered, sender } from "./arbitraries.ts";

export const limits: LoopLimits = {
  maxSteps: 6,
  maxTranscriptCharacters: 3_000,
  run: { tokens: 2_000, usd: 5 },
  thread: { tokens: 6_000, usd: 20 },
};

const system: Actor = { kind: "system", name: "runtime" };
const agent: Actor = { kind: "agent", name: "deploybot" };
const due = "2030-01-01T00:00:00.000Z";

/** Draws: `pick(3)` is 0, 1 or 2. */
type Pick = (below: number) => number;

interface Turn {
  state: ThreadState;
  pick: Pick;
  /** Unique for each turn. */
  name: string;
}

const event = <T extends NewEvent["type"]>(
  type: T,
  data: Extract<NewEvent, { type: T }>["data"],
  actor: Actor = system,
): NewEvent => ({ type, data, actor }) as NewEvent;

const people = ["ann", "bob", "cem"];
const texts = ["deploy it", "yes", "no", "extend", "extend 2", "what?"];

function message({ pick, name }: Turn): NewEvent[] {
  const who = sender(people[pick(3)] as string);
  const text = texts[pick(texts.length)] as string;
  const facts = { messageId: name, text, sender: who, attachments: [], via: binding, correlationId: name };
  return [event("message_received", facts, { kind: "person", sender: who })];
}

function decideApproval({ state, pick }: Turn): NewEvent[] {
  const waiting = state.calls.filter((call) => call.status === "awaiting");
  const call = waiting[pick(waiting.length || 1)];
  if (call?.approvalId == null || call.digest === null) return [];
  const verdict = (["approve", "reject", "edit", "ask_back", "approve"] as const)[pick(5)] ?? "approve";
  const who = sender(people[pick(3)] as string);
  const edited = verdict === "edit";
  const facts = {
    approvalId: call.approvalId,
    verdict,
    sender: who,
    reason: verdict === "reject" ? "not today" : null,
    args: edited ? { edited: state.seq } : null,
    digest: edited ? `edited-${state.seq}` : call.digest,
    final: verdict === "reject" || (verdict !== "ask_back" && pick(3) > 0),
  };
  return [event("approval_decided", facts, { kind: "person", sender: who })];
}

function expire({ state, pick }: Turn): NewEvent[] {
  const approvalId = state.calls.find((call) => call.status === "awaiting")?.approvalId;
  if (approvalId == null) return [];
  const consequence = (["deny", "wait", "escalate"] as const)[pick(3)] ?? "deny";
  return [event("approval_expired", { approvalId, consequence })];
}

function fire({ state, pick }: Turn): NewEvent[] {
  const timer = state.timers[pick(state.timers.length || 1)];
  return timer === undefined ? [] : [event("timer_fired", { timerId: timer.timerId })];
}

function settle({ state, pick }: Turn): NewEvent[] {
  const call = state.calls.find((open) => open.status === "unknown");
  if (call === undefined) return [];
  return [event("tool_settled", { callId: call.callId, happened: pick(2) === 0, note: "looked" })];
}

/** What others do to a thread, whatever state it is in. */
const outside: ((turn: Turn) => NewEvent[])[] = [
  message,
  decideApproval,
  decideApproval,
  expire,
  fire,
  settle,
  message,
  ({ pick }) => (pick(2) === 0 ? [event("paused", { reason: "hold" })] : [event("resumed", {})]),
  () => [event("resumed", {})],
  ({ pick }) => (pick(3) === 0 ? [event("cancelled", { reason: "stop" })] : []),
];

/** What the loop commits next; nothing when the thread rests. */
export function loopTurn({ state, pick, name }: Turn, within = limits): NewEvent[] {
  const action = nextAction(state, within);
  switch (action.do) {
    case "rest":
      return [];
    case "clean_up":
      return cleanUp(state, name);
    case "recover":
      return action.calls.flatMap((call) => outcome(call, pick));
    case "begin":
      return action.calls.map(started);
    case "request_approval":
      return [request(action.call, name)];
    case "compact":
      return [event("context_compacted", { throughSeq: action.throughSeq, summary: "so far" })];
    case "stop":
      return action.reason === "step_limit"
        ? [answer(state, state.seq, name), ended(state, "step_limit")]
        : [asked(question(name, action.reason), state, name)];
    case "think":
      return think({ state, pick, name });
  }
}

const started = (call: OpenCall): NewEvent =>
  event("tool_started", {
    callId: call.callId,
    attempt: call.attempt + 1,
    idempotencyKey: call.idempotencyKey ?? call.callId,
    approvalId: call.approvalId,
  });

function outcome(call: OpenCall, pick: Pick): NewEvent[] {
  const { callId } = call;
  switch (pick(4)) {
    case 0:
      return [event("tool_failed", { callId, error: "went wrong", durationMs: 1 })];
    case 1:
      if (call.effect === "once") {
        const facts = { ...question(callId, "tool_outcome"), callId, runId: "any" };
        return [event("tool_outcome_unknown", { callId, error: "cut off" }), event("question_asked", facts)];
      }
      return call.attempt < 3
        ? [started(call)]
        : [event("tool_failed", { callId, error: "cut off", durationMs: 1 })];
    default:
      return [event("tool_finished", { callId, result: { ok: true }, durationMs: 1 })];
  }
}

const request = (call: OpenCall, name: string): NewEvent =>
  event(
    "approval_requested",
    {
      approvalId: `approval-${call.callId}`,
      callId: call.callId,
      digest: `digest-${call.callId}`,
      code: name,
      tool: call.tool,
      args: call.args,
      policy: "default",
      policyVersion: "1",
      expiresAt: null,
    },
    agent,
  );

function cleanUp(state: ThreadState, name: string): NewEvent[] {
  const withdrawn = state.calls.flatMap(({ approvalId }) =>
    approvalId === null ? [] : [event("approval_withdrawn", { approvalId, reason: "cancelled" })],
  );
  const told = state.unanswered.some(({ seq }) => seq <= state.seenSeq)
    ? [answer(state, state.seenSeq, name)]
    : [];
  return [...withdrawn, ...told, ended(state, "cancelled")];
}

const answer = (state: ThreadState, throughSeq: number, name: string): NewEvent => {
  const answers = state.unanswered.map(({ seq }) => seq).filter((seq) => seq <= throughSeq);
  const facts = { runId: state.run?.runId ?? name, outboxId: name, text: `answer ${name}`, answers };
  return event("reply_committed", facts, agent);
};

const ended = (
  state: ThreadState,
  outcome: "replied" | "step_limit" | "cancelled" | "failed" | "handed_off",
): NewEvent => event("run_ended", { runId: state.run?.runId ?? "none", outcome });

const question = (name: string, purpose: Question["purpose"]): Question => ({
  questionId: name,
  purpose,
  text: `${purpose}?`,
  format: { kind: "free_text" },
  urgency: "normal",
  ...(purpose === "budget" ? { grant: { tokens: 5_000, usd: 5 } } : {}),
});

const asked = (facts: Question, state: ThreadState, name: string): NewEvent =>
  event("question_asked", { ...facts, runId: state.run?.runId ?? name }, agent);

const callFor = (name: string, pick: Pick): Call => ({
  callId: `call-${name}-${pick(1_000)}`,
  tool: "deploy",
  args: { tag: name },
  effect: (["read", "idempotent", "keyed", "once"] as const)[pick(4)] ?? "read",
  subject: `subject-${pick(2)}`,
  approvalPolicy: pick(2) === 0 ? "default" : null,
});

function think({ state, pick, name }: Turn): NewEvent[] {
  const basisSeq = state.seq;
  const before =
    state.run === null ? [event("run_started", { runId: `run-${name}`, correlationId: name })] : [];
  const running = fold(numbered(before, state.seq), state);
  const runId = running.run?.runId ?? "none";
  if (pick(8) === 0) return [...before, ...modelFailure({ state: running, pick, name }, runId, basisSeq)];
  const seen = { ...running, seenSeq: basisSeq };
  const step = (decision: Decision): NewEvent[] => [
    ...before,
    event(
      "step_decided",
      { stepId: name, runId, basisSeq, reasoning: "", confidence: 1, decision, usage: usage(name) },
      agent,
    ),
  ];
  switch (pick(7)) {
    case 0:
    case 1:
      return step({
        type: "call",
        calls: Array.from({ length: 1 + pick(2) }, (_, index) => callFor(`${name}-${index}`, pick)),
      });
    case 2: {
      const asking = question(name, "agent");
      return [...step({ type: "ask", question: asking }), asked(asking, running, name)];
    }
    case 3:
      return [
        ...step({ type: "wait", timerId: name, dueAt: due, reason: "" }),
        event("timer_set", { timerId: name, dueAt: due, purpose: "wait" }),
      ];
    case 4:
      return step({ type: "invalid", intent: "?", problem: "no such tool" });
    default:
      return [
        ...step({ type: "reply", text: "done" }),
        answer(seen, basisSeq, name),
        ended(running, "replied"),
      ];
  }
}

const usage = (name: string) => ({
  modelCallId: name,
  model: "m",
  stage: "primary" as const,
  promptVersion: "1",
  promptHash: "h",
  inputTokens: 150,
  outputTokens: 50,
  costUsd: 0.5,
  latencyMs: 1,
});

function modelFailure({ state, pick, name }: Turn, runId: string, basisSeq: number): NewEvent[] {
  const again = pick(3) > 0;
  const usage = { inputTokens: 10, outputTokens: 0, costUsd: null };
  const facts = { runId, basisSeq, kind: "timeout", error: "slow", retryTimerId: again ? name : null, usage };
  const failed = event("model_failed", facts);
  return again
    ? [failed, event("timer_set", { timerId: name, dueAt: due, purpose: "model_retry" })]
    : [failed, answer(state, basisSeq, name), ended(state, "failed")];
}

/** The log that a list of draws tells. At some points something happens between the loop's reading and its commit. */
export function tell(draws: readonly number[]): ThreadEvent[] {
  let at = 0;
  const pick: Pick = (below) => (draws[at++] ?? 0) % below;
  const log = numbered([
    event("thread_started", { agent: "deploybot", home: binding }),
    ...message({ state: emptyThread, pick, name: "first" }),
  ]);
  let state = fold(log);
  const write = (events: readonly NewEvent[]): void => {
    for (const each of numbered(events, state.seq)) {
      log.push(each);
      state = applyEvent(state, each);
    }
  };
  while (at < draws.length) {
    const turn = { state, pick, name: `t${at}` };
    const kind = pick(5);
    if (kind < 3) write(loopTurn(turn));
    else write((outside[pick(outside.length)] ?? message)(turn));
  }
  return log;
}

export const draws: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 999 }), { minLength: 5, maxLength: 160 });
export const story: fc.Arbitrary<ThreadEvent[]> = draws.map(tell);

/** Lets the loop alone go on until it rests. Throws when it does not come to rest. */
export function toRest(
  from: ThreadState,
  within = limits,
  maxTurns = 200,
): { state: ThreadState; log: ThreadEvent[] } {
  let state = from;
  const log: ThreadEvent[] = [];
  for (let turns = 0; turns < maxTurns; turns++) {
    // The plainest turns: calls finish, thoughts reply.
    const events = numbered(
      loopTurn({ state, pick: (below) => below - 1, name: `rest-${state.seq}` }, within),
      state.seq,
    );
    if (events.length === 0) return { state, log };
    log.push(...events);
    state = fold(events, state);
  }
  throw new Error("the loop does not come to rest");
}
