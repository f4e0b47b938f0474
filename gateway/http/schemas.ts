/**
 * The API's shapes as schemas: bodies and parameters are parsed by them, and the OpenAPI document is printed from them. The
 * types of answers are gateway/api.ts's; the compiler holds the two together.
 */
import { z } from "zod";
import { approvalStatuses, verdictSchema } from "../../core/approval.ts";
import { type EventType, eventShape, eventTypes } from "../../core/events.ts";
import { jsonObjectSchema, jsonSchema } from "../../core/json.ts";
import { threadStateSchema as threadState, threadStatuses } from "../../core/thread.ts";
import { actorSchema, bindingSchema, senderSchema } from "../../core/words.ts";
import { deliveryStatuses } from "../../store/listing.ts";
import type {
  ApprovalView,
  DeliveryView,
  ModelCallView,
  NewTokenView,
  Page,
  Problem,
  PromptView,
  SessionView,
  StatusView,
  ThreadView,
  TokenView,
} from "../api.ts";
import { scopes } from "./scopes.ts";

export const threadView = z.object({
  id: z.string(),
  agent: z.string(),
  status: z.enum(threadStatuses),
  waitingFor: z.array(z.enum(["approval", "question", "timer", "tool_outcome"])),
  title: z.string().describe("The first line of its first message."),
  home: bindingSchema.nullable(),
  seq: z.number().int().describe("Where its log ends."),
  spend: z.object({ tokens: z.number(), usd: z.number() }),
  createdAt: z.string(),
  updatedAt: z.string(),
}) satisfies z.ZodType<ThreadView>;

const eventViewOf = (type: EventType) =>
  z.object({
    seq: z.number().int().positive(),
    type: z.literal(type),
    v: z.number().int().positive(),
    data: eventShape(type),
    actor: actorSchema,
    at: z.string(),
  });
export const eventView = z.union(eventTypes.map(eventViewOf));

export const modelCallView = z.object({
  id: z.string(),
  threadId: z.string(),
  model: z.string(),
  stage: z.enum(["primary", "backup", "compacted"]),
  promptVersion: z.string(),
  promptHash: z.string(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  costUsd: z.number().nullable(),
  latencyMs: z.number(),
  outcome: z.string().describe("`ok`, or the kind of the model error."),
  correlationId: z.string(),
  at: z.string(),
}) satisfies z.ZodType<ModelCallView>;

export const approvalView = z.object({
  id: z.string(),
  threadId: z.string(),
  agent: z.string(),
  tool: z.string(),
  summary: z.string().nullable(),
  args: jsonObjectSchema.describe("Exactly what will run."),
  digest: z.string(),
  shortDigest: z.string(),
  code: z.string(),
  status: z.enum(approvalStatuses),
  policy: z.string(),
  quorum: z.number().int(),
  approvedBy: z.array(z.string()),
  requesters: z.array(z.string()),
  decidedBy: z.string().nullable(),
  decidedAt: z.string().nullable(),
  reason: z.string().nullable(),
  expiresAt: z.string().nullable(),
  createdAt: z.string(),
}) satisfies z.ZodType<ApprovalView>;

export const deliveryView = z.object({
  id: z.string(),
  threadId: z.string(),
  kind: z.enum(["reply", "approval", "approval_update", "question", "notice"]),
  binding: bindingSchema,
  status: z.enum(deliveryStatuses),
  attempts: z.number().int(),
  nextAttemptAt: z.string().nullable(),
  error: z.string().nullable(),
  receipt: z.string().nullable(),
  content: jsonObjectSchema,
  createdAt: z.string(),
  updatedAt: z.string(),
}) satisfies z.ZodType<DeliveryView>;

export const statusView = z.object({
  version: z.string(),
  model: z.object({ name: z.string(), offline: z.boolean() }),
  agents: z.array(z.object({ name: z.string(), description: z.string() })),
  channels: z.array(z.object({ name: z.string(), on: z.boolean() })),
  database: z.enum(["embedded", "external"]),
  queue: z.enum(["redis", "postgres"]),
  nextSteps: z.array(z.object({ title: z.string(), text: z.string() })),
}) satisfies z.ZodType<StatusView>;

export const sessionView = z.object({
  name: z.string(),
  person: z.string(),
  roles: z.array(z.string()),
  scopes: z.array(z.string()),
  csrfToken: z.string().describe("For the header x-csrf-token. Empty when a bearer token asked."),
}) satisfies z.ZodType<SessionView>;

export const tokenView = z.object({
  id: z.string(),
  name: z.string(),
  person: z.string(),
  scopes: z.array(z.string()),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
}) satisfies z.ZodType<TokenView>;

export const newTokenView = tokenView.extend({
  token: z.string().describe("Shown this once."),
}) satisfies z.ZodType<NewTokenView>;

export const promptView = z.object({
  stepId: z.string(),
  model: z.string().nullable(),
  promptVersion: z.string().nullable(),
  promptHash: z.string().nullable(),
  messages: z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() })),
}) satisfies z.ZodType<PromptView>;

export const problemView = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string().exactOptional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).exactOptional(),
  instance: z.string().exactOptional(),
}) satisfies z.ZodType<Problem>;

export { threadState };
export const healthView = z.object({ name: z.literal("parley"), status: z.literal("ok") });
export const readinessView = z.object({
  status: z.enum(["ready", "not_ready"]),
  reasons: z.array(z.string()),
});

export function pageOf<T extends z.ZodType>(items: T) {
  return z.object({
    items: z.array(items),
    next: z.string().nullable().describe("Goes into `?cursor=`; null on the last page."),
  }) satisfies z.ZodType<Page<z.output<T>>>;
}

/** Schemas with a name of their own in the OpenAPI document. */
export const named: Record<string, z.ZodType> = {
  Json: jsonSchema,
  Binding: bindingSchema,
  Sender: senderSchema,
  Actor: actorSchema,
  Thread: threadView,
  ThreadState: threadState,
  Event: eventView,
  ModelCall: modelCallView,
  Approval: approvalView,
  Delivery: deliveryView,
  Status: statusView,
  Session: sessionView,
  Token: tokenView,
  NewToken: newTokenView,
  Prompt: promptView,
  Problem: problemView,
};

const cursor = z.string().max(200).optional().describe("`next` of the page before.");
const limit = z.coerce.number().int().min(1).max(200).default(50);

export const pageQuery = z.strictObject({ cursor, limit });
export const threadsQuery = pageQuery.extend({
  status: z.enum(threadStatuses).optional(),
  agent: z.string().max(100).optional(),
});
export const approvalsQuery = pageQuery.extend({
  status: z.enum(approvalStatuses).optional(),
  threadId: z.uuid().optional(),
});
export const deliveriesQuery = pageQuery.extend({
  status: z.enum(deliveryStatuses).optional(),
  threadId: z.uuid().optional(),
});
export const eventsQuery = z.strictObject({
  cursor,
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe("Only events behind this position."),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const threadParams = z.object({ threadId: z.uuid() });
export const stepParams = z.object({ threadId: z.uuid(), stepId: z.uuid() });
export const approvalParams = z.object({ approvalId: z.uuid() });
export const deliveryParams = z.object({ deliveryId: z.uuid() });
export const tokenParams = z.object({ tokenId: z.uuid() });

const idempotencyKey = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\x20-\x7e]+$/, "only printable ASCII")
  .optional()
  .describe(
    "Repeating the request with the same key changes nothing more. The header Idempotency-Key does the same.",
  );
/** Length and content are checked when the text is taken in: 413 tells more than 400. */
const text = z.string();

export const newThreadBody = z.strictObject({
  agent: z.string().min(1).max(100).optional().describe("Left out: the routing rules decide."),
  input: text,
  idempotencyKey,
  replyTo: bindingSchema.optional().describe("Where the answers go. Its channel must be on."),
});
export const messageBody = z.strictObject({ text, idempotencyKey });
export const reasonBody = z.strictObject({ reason: z.string().max(1_000).optional() }).optional();
export const forkBody = z.strictObject({
  atSeq: z.number().int().min(1).max(2_147_483_647).describe("How many events the fork takes over."),
  idempotencyKey,
});
export const decisionBody = z.strictObject({
  verdict: verdictSchema,
  reason: z.string().max(4_000).optional().describe("Required to reject and to ask back."),
  args: jsonObjectSchema.optional().describe("Required to edit: the arguments that are approved instead."),
});
export const settleBody = z.strictObject({
  outcome: z.enum(["sent", "failed"]),
  note: z.string().min(1).max(1_000),
});
export const emptyBody = z.strictObject({}).optional();
export const signInBody = z.strictObject({ token: z.string().min(1).max(512) });
export const newTokenBody = z.strictObject({
  name: z.string().trim().min(1).max(100),
  person: z.string().trim().min(1).max(200),
  scopes: z.array(z.enum(scopes)).min(1),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
});
