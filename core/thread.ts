/**
 * A thread's state: what its log says, folded. Everything the loop decides by is here and nowhere else, so that
 * save, load and fork are just reading. The state stays small however long the log is: what was said is kept as a
 * transcript that `context_compacted` events shorten on purpose.
 *
 *   done ──message──▶ running ──reply, finish──▶ done
 *                       │  ▲
 *      approval, question, timer │ │ decision, answer, due
 *                       ▼  │
 *                     waiting            paused and cancelled lie over all of them
 */
import { z } from "zod";
import { jsonObjectSchema, jsonSchema } from "./json.ts";
import { callSchema, questionSchema } from "./step.ts";
import { bindingSchema, senderSchema } from "./words.ts";

/** What the next step may see, oldest first. Failures leave once the same tool succeeded. */
export const transcriptItemSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("message"), seq: z.number(), from: z.string(), text: z.string() }),
  z.object({ kind: z.literal("reply"), seq: z.number(), text: z.string() }),
  z.object({
    kind: z.literal("result"),
    seq: z.number(),
    tool: z.string(),
    args: jsonObjectSchema,
    result: jsonSchema,
  }),
  z.object({
    kind: z.literal("failure"),
    seq: z.number(),
    tool: z.string(),
    args: jsonObjectSchema,
    error: z.string(),
  }),
  z.object({
    kind: z.literal("approval"),
    seq: z.number(),
    outcome: z.enum(["requested", "approved", "edited", "rejected", "asked_back", "expired", "withdrawn"]),
    tool: z.string(),
    args: jsonObjectSchema,
    by: z.string(),
    reason: z.string(),
  }),
  z.object({ kind: z.literal("note"), seq: z.number(), text: z.string() }),
  z.object({ kind: z.literal("problem"), seq: z.number(), text: z.string() }),
]);
export type TranscriptItem = z.infer<typeof transcriptItemSchema>;

/**
 *   chosen ──▶ running ──▶ (leaves: finished or failed)
 *     │          └──crash of a `once` tool──▶ unknown ──a person settles──▶ (leaves)
 *     └──policy──▶ awaiting ──approve, edit──▶ approved ──▶ running
 */
export const openCallSchema = callSchema.extend({
  status: z.enum(["chosen", "awaiting", "approved", "running", "unknown"]),
  approvalId: z.string().nullable(),
  digest: z.string().nullable(),
  attempt: z.number().int().nonnegative(),
  idempotencyKey: z.string().nullable(),
});
export type OpenCall = z.infer<typeof openCallSchema>;

export const runSchema = z.object({
  runId: z.string(),
  correlationId: z.string(),
  steps: z.number().int(),
  tokens: z.number(),
  usd: z.number(),
  /** Everybody whose messages this run works on: none of them may approve where policy says "not the requester". */
  requesters: z.array(z.string()),
  prefetched: jsonObjectSchema,
});
export type Run = z.infer<typeof runSchema>;

export const threadStateSchema = z.object({
  shape: z.literal(1),
  seq: z.number().int(),
  agent: z.string(),
  home: bindingSchema.nullable(),
  summary: z.string().nullable(),
  transcript: z.array(transcriptItemSchema),
  unanswered: z.array(z.object({ seq: z.number(), by: z.string() })),
  latest: z
    .object({ seq: z.number(), via: bindingSchema, sender: senderSchema, correlationId: z.string() })
    .nullable(),
  /** The newest fact that asks for a decision, and the newest that a decision has seen. */
  inputSeq: z.number().int(),
  seenSeq: z.number().int(),
  run: runSchema.nullable(),
  calls: z.array(openCallSchema),
  question: questionSchema.nullable(),
  timers: z.array(
    z.object({ timerId: z.string(), dueAt: z.string(), purpose: z.enum(["wait", "model_retry"]) }),
  ),
  errorsInRow: z.number().int(),
  modelFailures: z.number().int(),
  /** Hand-overs between agents since a person last wrote. */
  handoffs: z.number().int(),
  spend: z.object({ tokens: z.number(), usd: z.number() }),
  /** What people granted beyond the configured budget. */
  extension: z.object({ tokens: z.number(), usd: z.number() }),
  halted: z.enum(["paused", "cancelled"]).nullable(),
});
export type ThreadState = z.infer<typeof threadStateSchema>;

export const emptyThread: ThreadState = Object.freeze({
  shape: 1,
  seq: 0,
  agent: "",
  home: null,
  summary: null,
  transcript: [],
  unanswered: [],
  latest: null,
  inputSeq: 0,
  seenSeq: 0,
  run: null,
  calls: [],
  question: null,
  timers: [],
  errorsInRow: 0,
  modelFailures: 0,
  handoffs: 0,
  spend: { tokens: 0, usd: 0 },
  extension: { tokens: 0, usd: 0 },
  halted: null,
}) as ThreadState;

export const threadStatuses = ["running", "waiting", "done", "paused", "cancelled"] as const;
export type ThreadStatus = (typeof threadStatuses)[number];

/** Is there something that no decision has seen yet? */
export const hasUnseenInput = (state: ThreadState): boolean => state.inputSeq > state.seenSeq;

/** Is there something that a cancellation has to close? A call whose outcome nobody knows stays: a person settles it. */
export const needsCleaning = (state: ThreadState): boolean =>
  state.run !== null || state.calls.some((call) => call.status !== "unknown") || state.unanswered.length > 0;

/** What a thread waits for, in the order of asking. Empty when it waits for nothing. */
export function waitingFor(state: ThreadState): ("approval" | "question" | "timer" | "tool_outcome")[] {
  return [
    ...(state.calls.some((call) => call.status === "awaiting") ? (["approval"] as const) : []),
    ...(state.calls.some((call) => call.status === "unknown") ? (["tool_outcome"] as const) : []),
    ...(state.question !== null ? (["question"] as const) : []),
    ...(state.timers.length > 0 ? (["timer"] as const) : []),
  ];
}

export function threadStatus(state: ThreadState): ThreadStatus {
  if (state.halted !== null) return state.halted;
  // What was chosen before the newest input does not begin until that was decided about.
  const begins = hasUnseenInput(state) ? ["approved", "running"] : ["chosen", "approved", "running"];
  const active = state.calls.some((call) => begins.includes(call.status));
  const backingOff = state.timers.some((timer) => timer.purpose === "model_retry");
  const stopped = state.question?.purpose === "errors" || state.question?.purpose === "budget";
  if (active || (hasUnseenInput(state) && !backingOff && !stopped)) return "running";
  if (waitingFor(state).length > 0) return "waiting";
  return "done";
}

/** Characters of the transcript: what compaction goes by. Cheap on purpose; tokens are counted where prompts are built. */
export function transcriptCharacters(state: ThreadState): number {
  return state.transcript.reduce((sum, item) => sum + itemCharacters(item), state.summary?.length ?? 0);
}

function itemCharacters(item: TranscriptItem): number {
  switch (item.kind) {
    case "message":
    case "reply":
    case "note":
    case "problem":
      return item.text.length + 40;
    case "result":
      return JSON.stringify(item.args).length + JSON.stringify(item.result).length + 60;
    case "failure":
      return JSON.stringify(item.args).length + item.error.length + 60;
    case "approval":
      return JSON.stringify(item.args).length + item.reason.length + 80;
  }
}
