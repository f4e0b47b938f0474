/**
 * Logs for property tests. `brokenLog` is any sequence of known events, with few ids so that they collide. `story` is a log as
 * the runtime and the people around it could have written it: a list of numbers picks, at each point, one of the things
 * that may happen there (see stories.ts).
 */
import fc from "fast-check";
import {
  type EventOf,
  type EventType,
  eventTypes,
  type NewEvent,
  type ThreadEvent,
} from "../../core/events.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Call, Question } from "../../core/step.ts";
import type { Actor, Binding, ModelUsage, Sender } from "../../core/words.ts";

const id = fc.constantFrom("1", "2", "3");
const seq = fc.nat({ max: 40 });
const time = fc.constantFrom("2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z");
const text = fc.oneof(
  fc.constantFrom("yes", "no", "extend", "extend 3", "hello"),
  fc.string({ maxLength: 12 }),
);
const money = fc.constantFrom(0, 0.25, 1, 7);
const count = fc.nat({ max: 500 });

const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);
export const jsonObject: fc.Arbitrary<JsonObject> = fc.dictionary(fc.constantFrom("x", "y", "é"), json, {
  maxKeys: 2,
});

export const binding: Binding = { channel: "web", account: "a", room: "r", anchor: "t" };

export const sender = (person: string, more: Partial<Sender> = {}): Sender => ({
  channel: "web",
  account: "a",
  identity: person,
  name: person,
  kind: "human",
  assurance: "session",
  person,
  ...more,
});

const anySender = fc
  .constantFrom(
    sender("ann"),
    sender("bob"),
    sender("guest", { kind: "guest", person: undefined as never, name: "" }),
  )
  .map((who): Sender => JSON.parse(JSON.stringify(who)) as Sender);

const actor: fc.Arbitrary<Actor> = fc.oneof(
  anySender.map((who): Actor => ({ kind: "person", sender: who })),
  fc.constantFrom<Actor>({ kind: "agent", name: "deploybot" }, { kind: "system", name: "runtime" }),
);

const effect = fc.constantFrom("read" as const, "idempotent" as const, "keyed" as const, "once" as const);

const call: fc.Arbitrary<Call> = fc.record({
  callId: id,
  tool: fc.constantFrom("deploy", "lookup"),
  args: jsonObject,
  effect,
  subject: fc.constantFrom("s1", "s2"),
  approvalPolicy: fc.constantFrom(null, "default"),
});

const question: fc.Arbitrary<Question> = fc.record(
  {
    questionId: id,
    purpose: fc.constantFrom("agent" as const, "budget" as const, "errors" as const, "tool_outcome" as const),
    text,
    format: fc.constantFrom<Question["format"]>(
      { kind: "free_text" },
      { kind: "yes_no" },
      { kind: "choices", choices: ["a", "b"] },
    ),
    urgency: fc.constantFrom("low" as const, "normal" as const, "high" as const),
    callId: id,
    grant: fc.record({ tokens: count, usd: money }),
  },
  { requiredKeys: ["questionId", "purpose", "text", "format", "urgency"] },
);

const usage: fc.Arbitrary<ModelUsage> = fc.record({
  modelCallId: id,
  model: fc.constant("m"),
  stage: fc.constantFrom("primary" as const, "backup" as const, "compacted" as const),
  promptVersion: fc.constant("1"),
  promptHash: fc.constant("h"),
  inputTokens: count,
  outputTokens: count,
  costUsd: fc.option(money),
  latencyMs: count,
});

const decision = fc.oneof(
  fc.record({ type: fc.constant("call" as const), calls: fc.array(call, { minLength: 1, maxLength: 3 }) }),
  fc.record({ type: fc.constant("reply" as const), text }),
  fc.record({ type: fc.constant("ask" as const), question }),
  fc.record({ type: fc.constant("wait" as const), timerId: id, dueAt: time, reason: text }),
  fc.record({
    type: fc.constant("handoff" as const),
    to: fc.constantFrom("person", "support"),
    reason: text,
    text,
  }),
  fc.record({ type: fc.constant("finish" as const), text: fc.option(text) }),
  fc.record({ type: fc.constant("invalid" as const), intent: text, problem: text }),
);

const noFacts = fc.constant({});

/** Any facts of each kind. A new kind of event is a type error here until it has some. */
const facts: { [T in EventType]: fc.Arbitrary<EventOf<T>> } = {
  thread_started: fc.record({ agent: fc.constantFrom("deploybot", "support"), home: fc.constant(binding) }),
  message_received: fc.record({
    messageId: id,
    text,
    sender: anySender,
    attachments: fc.constant([]),
    via: fc.constant(binding),
    correlationId: id,
  }),
  run_started: fc.record({ runId: id, correlationId: id }),
  prefetched: fc.record({
    runId: id,
    name: fc.constantFrom("tags", "people"),
    outcome: fc.oneof(
      fc.record({ ok: fc.constant(true as const), result: json }),
      fc.record({ ok: fc.constant(false as const), error: text }),
    ),
  }),
  step_decided: fc.record({
    stepId: id,
    runId: id,
    basisSeq: seq,
    reasoning: text,
    confidence: fc.constantFrom(0, 0.5, 1),
    decision,
    usage: fc.option(usage),
  }),
  model_failed: fc.record({
    runId: id,
    basisSeq: seq,
    kind: fc.constantFrom("timeout", "refusal"),
    error: text,
    retryTimerId: fc.option(id),
    usage: fc.record({ inputTokens: count, outputTokens: count, costUsd: fc.option(money) }),
  }),
  tool_started: fc.record({
    callId: id,
    attempt: fc.integer({ min: 1, max: 3 }),
    idempotencyKey: id,
    approvalId: fc.option(id),
  }),
  tool_finished: fc.record({ callId: id, result: json, durationMs: count }),
  tool_failed: fc.record({ callId: id, error: text, durationMs: count }),
  tool_outcome_unknown: fc.record({ callId: id, error: text }),
  tool_settled: fc.record({ callId: id, happened: fc.boolean(), note: text }),
  approval_requested: fc.record({
    approvalId: id,
    callId: id,
    digest: id,
    code: id,
    tool: fc.constantFrom("deploy", "lookup"),
    args: jsonObject,
    policy: fc.constant("default"),
    policyVersion: id,
    expiresAt: fc.option(time),
  }),
  approval_decided: fc.record({
    approvalId: id,
    verdict: fc.constantFrom("approve" as const, "reject" as const, "edit" as const, "ask_back" as const),
    sender: anySender,
    reason: fc.option(text),
    args: fc.option(jsonObject),
    digest: id,
    final: fc.boolean(),
  }),
  approval_expired: fc.record({
    approvalId: id,
    consequence: fc.constantFrom("deny" as const, "wait" as const, "escalate" as const),
  }),
  approval_withdrawn: fc.record({ approvalId: id, reason: text }),
  question_asked: fc.tuple(question, id).map(([asked, runId]) => ({ ...asked, runId })),
  timer_set: fc.record({
    timerId: id,
    dueAt: time,
    purpose: fc.constantFrom("wait" as const, "model_retry" as const),
  }),
  timer_fired: fc.record({ timerId: id }),
  reply_committed: fc.record({ runId: id, outboxId: id, text, answers: fc.array(seq, { maxLength: 4 }) }),
  run_ended: fc.record({
    runId: id,
    outcome: fc.constantFrom(
      ...(["replied", "finished", "handed_off", "step_limit", "failed", "cancelled"] as const),
    ),
  }),
  handed_off: fc.record({
    runId: id,
    to: fc.constantFrom("person", "support"),
    toKind: fc.constantFrom("agent" as const, "person" as const),
    reason: text,
  }),
  context_compacted: fc.record({ throughSeq: seq, summary: text }),
  budget_extended: fc.record({ tokens: count, usd: money }),
  paused: fc.record({ reason: text }),
  resumed: noFacts,
  cancelled: fc.record({ reason: text }),
};

const eventOf = (type: EventType): fc.Arbitrary<NewEvent> =>
  fc.record({
    type: fc.constant(type),
    data: facts[type] as fc.Arbitrary<never>,
    actor,
  }) as fc.Arbitrary<NewEvent>;

export const anyEvent: fc.Arbitrary<NewEvent> = fc.oneof(...eventTypes.map(eventOf));

/** Gives events positions from 1 on. */
export const numbered = (events: readonly NewEvent[], after = 0): ThreadEvent[] =>
  events.map((event, index) => ({ ...event, v: 1, seq: after + 1 + index, at: "2030-01-01T00:00:00.000Z" }));

/** Known events in any order, duplicated, with positions that jump and fall back. */
export const brokenLog: fc.Arbitrary<ThreadEvent[]> = fc
  .array(fc.tuple(anyEvent, fc.integer({ min: 1, max: 45 })), { maxLength: 45 })
  .map((log) => log.map(([event, at]) => ({ ...event, v: 1, seq: at, at: "" })));

/** Known events that make no sense together, but stand in a proper log. */
export const senselessLog: fc.Arbitrary<ThreadEvent[]> = fc
  .array(anyEvent, { maxLength: 45 })
  .map((log) => numbered(log));
