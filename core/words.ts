/**
 * The nouns that cross module boundaries, as schemas. GLOSSARY.md explains each. Every one of them is stored
 * somewhere, so a change here is a change of a stored shape: add optional members, or raise an event's version.
 */
import { z } from "zod";

/** Where a thread can be reached. `account` is the workspace, guild, mailbox or number; `anchor` names the thread in the room. */
export const bindingSchema = z.object({
  channel: z.string().min(1).max(40),
  account: z.string().max(200),
  room: z.string().max(300),
  anchor: z.string().max(300),
});
export type Binding = z.infer<typeof bindingSchema>;

/** How sure we are who sent something, weakest last. DESIGN section 5. */
export const assuranceLevels = ["session", "signed", "authenticated", "weak"] as const;
export const assuranceSchema = z.enum(assuranceLevels);
export type Assurance = z.infer<typeof assuranceSchema>;

/** Who wrote or decided something, as the channel knows them. `person` is set once the identity is linked to a person. */
export const senderSchema = z.object({
  channel: z.string().max(40),
  account: z.string().max(200),
  identity: z.string().min(1).max(300),
  name: z.string().max(200),
  kind: z.enum(["human", "guest", "external", "bot", "self", "automatic"]),
  assurance: assuranceSchema,
  person: z.string().max(200).optional(),
});
export type Sender = z.infer<typeof senderSchema>;

export const attachmentSchema = z.object({
  name: z.string().max(300),
  mediaType: z.string().max(200),
  sizeBytes: z.number().int().nonnegative(),
  contentHash: z.string().max(100),
});
export type Attachment = z.infer<typeof attachmentSchema>;

/** Who caused an event. */
export const actorSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("person"), sender: senderSchema }),
  z.object({ kind: z.literal("agent"), name: z.string() }),
  z.object({ kind: z.literal("system"), name: z.string() }),
]);
export type Actor = z.infer<typeof actorSchema>;

/**
 * What running a tool again would mean after a crash, DESIGN section 4: `read` and `idempotent` run again, `keyed` runs
 * again with the same idempotency key, `once` never runs again on its own.
 */
export const effectSchema = z.enum(["read", "idempotent", "keyed", "once"]);
export type Effect = z.infer<typeof effectSchema>;

/** What a model call cost, recorded with the step that came of it. */
export const modelUsageSchema = z.object({
  modelCallId: z.string(),
  model: z.string(),
  stage: z.enum(["primary", "backup", "compacted"]),
  promptVersion: z.string(),
  promptHash: z.string(),
  inputTokens: z.number().int().nonnegative(),
  outputTokens: z.number().int().nonnegative(),
  costUsd: z.number().nonnegative().nullable(),
  latencyMs: z.number().nonnegative(),
});
export type ModelUsage = z.infer<typeof modelUsageSchema>;
