/** The API's answers as far as commands use them, parsed where they come in. gateway/api.ts is their contract. */
import { z } from "zod";
import { approvalStatuses } from "../core/approval.ts";
import { jsonObjectSchema } from "../core/json.ts";
import { threadStatuses } from "../core/thread.ts";
import { bindingSchema } from "../core/words.ts";

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable() });

export const threadSchema = z.looseObject({
  id: z.string(),
  agent: z.string(),
  status: z.enum(threadStatuses),
  waitingFor: z.array(z.string()),
  title: z.string(),
  home: bindingSchema.nullable(),
  seq: z.number(),
  spend: z.object({ tokens: z.number(), usd: z.number() }),
  createdAt: z.string(),
  updatedAt: z.string(),
});

export const approvalSchema = z.looseObject({
  id: z.string(),
  threadId: z.string(),
  agent: z.string(),
  tool: z.string(),
  summary: z.string().nullable(),
  args: jsonObjectSchema,
  digest: z.string(),
  shortDigest: z.string(),
  code: z.string(),
  status: z.enum(approvalStatuses),
  policy: z.string(),
  quorum: z.number(),
  approvedBy: z.array(z.string()),
  requesters: z.array(z.string()),
  decidedBy: z.string().nullable(),
  reason: z.string().nullable(),
  expiresAt: z.string().nullable(),
  createdAt: z.string(),
});
export type Approval = z.infer<typeof approvalSchema>;

export const deliverySchema = z.looseObject({
  id: z.string(),
  threadId: z.string(),
  kind: z.string(),
  binding: bindingSchema,
  status: z.enum(["pending", "sending", "sent", "uncertain", "failed"]),
  attempts: z.number(),
  nextAttemptAt: z.string().nullable(),
  error: z.string().nullable(),
  receipt: z.string().nullable(),
  updatedAt: z.string(),
});

export const statusSchema = z.looseObject({
  version: z.string(),
  model: z.object({ name: z.string(), offline: z.boolean() }),
  agents: z.array(z.object({ name: z.string(), description: z.string() })),
});

/** RFC 9457. */
export const problemSchema = z.looseObject({
  title: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
