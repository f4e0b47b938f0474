/**
 * The form of a step: the strict schema that a model is held to, built from an agent's tools, and the reading of what
 * came back. There is no trust in between: a server may ignore the schema, so every answer is validated again, and
 * what does not validate becomes one line for the next step to learn from. Pure; nothing to recover after a crash.
 */
import { z } from "zod";
import { errorLine } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Agent } from "../agent.ts";
import { type Choice, type Intent, intentsOf } from "./intents.ts";
import { bothSchemas, withoutNulls } from "./strict-schema.ts";

export type { Choice, ChosenCall } from "./intents.ts";

export interface StepForm {
  /** At most 64 letters, digits, underscores and hyphens, as structured outputs demand. */
  readonly name: string;
  readonly schema: JsonObject;
}

export type ReadStep =
  | { ok: true; intent: string; reasoning: string; confidence: number; choice: Choice }
  | { ok: false; intent: string; problem: string };

interface KnownIntent extends Intent {
  readonly loose: JsonObject;
  readonly strict: JsonObject;
}

interface Form extends StepForm {
  readonly intents: ReadonlyMap<string, KnownIntent>;
}

const maxReasoningCharacters = 4_000;

/** Building costs some milliseconds and an agent does not change once it is loaded. */
const forms = new WeakMap<Agent, Form>();

/**
 * The schema that an agent's steps must have. Call it when an agent is loaded: a tool that cannot be asked of a model
 * shows there and not in the first conversation.
 * @throws {Error} with a plain sentence that names the tool.
 */
export const stepForm = (agent: Agent): StepForm => formOf(agent);

function formOf(agent: Agent): Form {
  const known = forms.get(agent);
  if (known !== undefined) return known;
  const intents = intentsOf(agent).map(
    (intent): KnownIntent => ({ ...intent, ...bothSchemas(intent.body, `${agent.name}: ${intent.name}`) }),
  );
  const step = { anyOf: intents.map(variant) };
  const form: Form = {
    name: `${agent.name.replace(/[^a-zA-Z0-9_-]/g, "_").slice(0, 59)}_step`,
    schema: { type: "object", properties: { step }, required: ["step"], additionalProperties: false },
    intents: new Map(intents.map((intent) => [intent.name, intent])),
  };
  forms.set(agent, form);
  return form;
}

/** `intent` comes first and the text last: that order lets a reply be shown while it is being written. */
function variant({ name, description, strict }: KnownIntent): JsonObject {
  const properties: JsonObject = {
    intent: { type: "string", enum: [name] },
    reasoning: { type: "string", description: "Why this step, in one or two sentences." },
    confidence: { type: "number", description: "How sure you are that this step is right, from 0 to 1." },
    ...(strict.properties as JsonObject),
  };
  return {
    type: "object",
    description,
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

/**
 * Reads a model's answer. Lenient where it does no harm: the step may come without its wrapper, without reasoning, and
 * with members that nobody asked for. Never throws, whatever the answer is.
 */
export function readStep(agent: Agent, output: unknown): ReadStep {
  try {
    return readUnwrapped(formOf(agent), storable(unwrap(output)));
  } catch (error) {
    return { ok: false, intent: noIntent, problem: errorLine(error) };
  }
}

const noIntent = "none";

const headSchema = z.object({
  confidence: z.number().min(0).max(1),
  reasoning: z
    .string()
    .nullish()
    .transform((text) => (text ?? "").slice(0, maxReasoningCharacters).toWellFormed()),
});

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const unwrap = (output: unknown): unknown =>
  isRecord(output) && isRecord(output.step) && output.intent === undefined ? output.step : output;

/** Postgres stores neither NUL nor half a surrogate pair in JSON: a model that writes one must not block its thread. */
function storable(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("\u0000", "").toWellFormed();
  if (Array.isArray(value)) return value.map(storable);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [storable(key), storable(member)]));
}

function readUnwrapped(form: Form, step: unknown): ReadStep {
  if (!isRecord(step)) return { ok: false, intent: noIntent, problem: "the answer is not an object" };
  const intentNames = [...form.intents.keys()].join(", ");
  if (typeof step.intent !== "string") {
    return { ok: false, intent: noIntent, problem: `the answer has no intent; known ones: ${intentNames}` };
  }
  const name = errorLine(step.intent, 60);
  const refuse = (problem: string): ReadStep => ({
    ok: false,
    intent: name,
    problem: errorLine(problem, 600),
  });
  const intent = form.intents.get(step.intent);
  if (intent === undefined) return refuse(`there is no intent "${name}"; known ones: ${intentNames}`);

  const head = headSchema.safeParse(step);
  if (!head.success) return refuse(`${name}: ${issueLine(head.error)}`);
  const body = intent.body.safeParse(withoutNulls(step, intent.loose));
  if (!body.success) return refuse(`wrong arguments for ${name}: ${issueLine(body.error)}`);
  const choice = intent.choose(body.data);
  if (typeof choice === "string") return refuse(`wrong arguments for ${name}: ${choice}`);
  return { ok: true, intent: name, ...head.data, choice };
}

/** The first three issues: enough to repair an answer by, short enough for the context. */
const issueLine = (error: z.ZodError): string =>
  error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join(".") || "the answer"}: ${issue.message}`)
    .join("; ");
