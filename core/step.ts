/**
 * A step: what the model answered, and the decision that our code read out of it.
 *
 * The model speaks in intents (DESIGN section 4). `Decision` is what is left once the intent was validated against the
 * agent's tools: it names effects and rules explicitly, so that the log can be folded without knowing any agent.
 */
import { z } from "zod";
import { jsonObjectSchema } from "./json.ts";
import { effectSchema, modelUsageSchema } from "./words.ts";

/** One chosen tool call. `subject` is what it acts on: a newer proposal on the same subject replaces an undecided one. */
export const callSchema = z.object({
  callId: z.string(),
  tool: z.string(),
  args: jsonObjectSchema,
  effect: effectSchema,
  subject: z.string(),
  /** The policy to ask by, or null when the call needs nobody's approval. */
  approvalPolicy: z.string().nullable(),
});
export type Call = z.infer<typeof callSchema>;

export const questionFormatSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("free_text") }),
  z.object({ kind: z.literal("yes_no") }),
  z.object({ kind: z.literal("choices"), choices: z.array(z.string().min(1).max(200)).min(2).max(10) }),
]);

/** Why a question is open: the agent asked, a budget ran out, errors repeated, or a `once` tool's outcome is unknown. */
export const questionPurposeSchema = z.enum(["agent", "budget", "errors", "tool_outcome"]);

export const questionSchema = z.object({
  questionId: z.string(),
  purpose: questionPurposeSchema,
  text: z.string().max(10_000),
  format: questionFormatSchema,
  urgency: z.enum(["low", "normal", "high"]),
  /** The call whose outcome is asked for, when the purpose is `tool_outcome`. */
  callId: z.string().optional(),
  /** What the answer "extend" adds, when the purpose is `budget`. */
  grant: z.object({ tokens: z.number().nonnegative(), usd: z.number().nonnegative() }).optional(),
});
export type Question = z.infer<typeof questionSchema>;

export const decisionSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("call"), calls: z.array(callSchema).min(1).max(8) }),
  z.object({ type: z.literal("reply"), text: z.string() }),
  z.object({ type: z.literal("ask"), question: questionSchema }),
  z.object({ type: z.literal("wait"), timerId: z.string(), dueAt: z.string(), reason: z.string() }),
  z.object({ type: z.literal("handoff"), to: z.string(), reason: z.string(), text: z.string() }),
  z.object({ type: z.literal("finish"), text: z.string().nullable() }),
  /** The model's answer could not be used; `problem` is one line that the next step sees. */
  z.object({ type: z.literal("invalid"), intent: z.string(), problem: z.string() }),
]);
export type Decision = z.infer<typeof decisionSchema>;

export const stepSchema = z.object({
  stepId: z.string(),
  runId: z.string(),
  /** The log position the model saw. What came later is not answered by this step. */
  basisSeq: z.number().int().nonnegative(),
  reasoning: z.string().max(4_000),
  confidence: z.number().min(0).max(1),
  decision: decisionSchema,
  usage: modelUsageSchema.nullable(),
});
export type Step = z.infer<typeof stepSchema>;
