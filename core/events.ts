/**
 * Every kind of fact a thread's log can hold, with the shape of its data and its version.
 *
 * Events are append-only and outlive the code that wrote them: a changed shape is a new version with an upgrade from
 * the one before, and a log written years ago still folds. docs/EVENTS.md lists them for operators.
 */
import { z } from "zod";
import { jsonObjectSchema, jsonSchema } from "./json.ts";
import { questionSchema, stepSchema } from "./step.ts";
import { type Actor, actorSchema, attachmentSchema, bindingSchema, senderSchema } from "./words.ts";

const seq = z.number().int().nonnegative();

/** The newest shape of each event's data. */
const shapes = {
  thread_started: z.object({
    agent: z.string(),
    home: bindingSchema,
    forkedFrom: z.object({ threadId: z.string(), seq }).optional(),
  }),
  message_received: z.object({
    messageId: z.string(),
    text: z.string(),
    sender: senderSchema,
    attachments: z.array(attachmentSchema),
    /** Where the answer goes. */
    via: bindingSchema,
    correlationId: z.string(),
  }),
  run_started: z.object({ runId: z.string(), correlationId: z.string() }),
  prefetched: z.object({
    runId: z.string(),
    name: z.string(),
    outcome: z.discriminatedUnion("ok", [
      z.object({ ok: z.literal(true), result: jsonSchema }),
      z.object({ ok: z.literal(false), error: z.string() }),
    ]),
  }),
  step_decided: stepSchema,
  model_failed: z.object({
    runId: z.string(),
    basisSeq: seq,
    kind: z.string(),
    error: z.string(),
    /** Null when no further attempt will be made on its own. */
    retryTimerId: z.string().nullable(),
    usage: z.object({ inputTokens: z.number(), outputTokens: z.number(), costUsd: z.number().nullable() }),
  }),
  tool_started: z.object({
    callId: z.string(),
    attempt: z.number().int().positive(),
    idempotencyKey: z.string(),
    approvalId: z.string().nullable(),
  }),
  tool_finished: z.object({ callId: z.string(), result: jsonSchema, durationMs: z.number() }),
  tool_failed: z.object({ callId: z.string(), error: z.string(), durationMs: z.number() }),
  tool_outcome_unknown: z.object({ callId: z.string(), error: z.string() }),
  tool_settled: z.object({ callId: z.string(), happened: z.boolean(), note: z.string() }),
  approval_requested: z.object({
    approvalId: z.string(),
    callId: z.string(),
    digest: z.string(),
    code: z.string(),
    tool: z.string(),
    args: jsonObjectSchema,
    policy: z.string(),
    policyVersion: z.string(),
    expiresAt: z.string().nullable(),
  }),
  approval_decided: z.object({
    approvalId: z.string(),
    verdict: z.enum(["approve", "reject", "edit", "ask_back"]),
    sender: senderSchema,
    reason: z.string().nullable(),
    /** For `edit`: the arguments that were approved instead, under their new digest. */
    args: jsonObjectSchema.nullable(),
    digest: z.string(),
    /** False while a quorum still waits for further people. */
    final: z.boolean(),
  }),
  approval_expired: z.object({ approvalId: z.string(), consequence: z.enum(["deny", "wait", "escalate"]) }),
  approval_withdrawn: z.object({ approvalId: z.string(), reason: z.string() }),
  question_asked: questionSchema.extend({ runId: z.string() }),
  timer_set: z.object({ timerId: z.string(), dueAt: z.string(), purpose: z.enum(["wait", "model_retry"]) }),
  timer_fired: z.object({ timerId: z.string() }),
  reply_committed: z.object({
    runId: z.string(),
    outboxId: z.string(),
    text: z.string(),
    /** The messages this reply is the visible outcome of. More than one means that they were merged. */
    answers: z.array(seq),
  }),
  run_ended: z.object({
    runId: z.string(),
    outcome: z.enum(["replied", "finished", "handed_off", "step_limit", "failed", "cancelled"]),
  }),
  handed_off: z.object({
    runId: z.string(),
    to: z.string(),
    toKind: z.enum(["agent", "person"]),
    reason: z.string(),
  }),
  context_compacted: z.object({ throughSeq: seq, summary: z.string() }),
  budget_extended: z.object({ tokens: z.number().nonnegative(), usd: z.number().nonnegative() }),
  paused: z.object({ reason: z.string() }),
  resumed: z.object({}),
  cancelled: z.object({ reason: z.string() }),
} as const;

export type EventType = keyof typeof shapes;
export type EventOf<T extends EventType> = z.infer<(typeof shapes)[T]>;

/** An event as it is written: the store adds thread, seq and time. */
export type NewEvent = { [T in EventType]: { type: T; data: EventOf<T>; actor: Actor } }[EventType];

/** An event as it is read back. `at` is ISO 8601 in UTC, by the database's clock. */
export type ThreadEvent = NewEvent & { seq: number; v: number; at: string };

/** For each type, the upgrades from version 1 on: `upgrades[type][0]` turns version 1 into version 2, and so on. */
type Upgrade = (old: unknown) => unknown;
const upgrades: Partial<Record<EventType, readonly Upgrade[]>> = {};

export const eventTypes = Object.keys(shapes) as EventType[];
export const eventVersion = (type: EventType, from = upgrades): number => (from[type]?.length ?? 0) + 1;
export const eventShape = (type: EventType): z.ZodType => shapes[type];

const storedSchema = z.object({
  seq: z.number().int().positive(),
  type: z.enum(eventTypes as [EventType, ...EventType[]]),
  v: z.number().int().positive(),
  data: z.unknown(),
  actor: actorSchema,
  at: z.string(),
});

/**
 * Reads a stored row, upgrading old versions. Pure.
 * @throws {z.ZodError} when the row is not a known event.
 * @throws {RangeError} when it is of a version newer than this program knows.
 */
export function parseEvent(row: unknown, from = upgrades): ThreadEvent {
  const stored = storedSchema.parse(row);
  const known = eventVersion(stored.type, from);
  if (stored.v > known) {
    throw new RangeError(`event ${stored.type} has version ${stored.v}; this program knows up to ${known}`);
  }
  const steps = (from[stored.type] ?? []).slice(stored.v - 1);
  const upgraded = steps.reduce((value, upgrade) => upgrade(value), stored.data);
  const parsed = shapes[stored.type].parse(upgraded);
  return { ...stored, v: known, data: parsed } as ThreadEvent;
}
