/**
 * The intents that an agent may answer with: one for each tool, and the ones that every agent has. Each has a zod
 * schema of what belongs to it and turns into a `Choice` that names effects, not intents. Pure.
 */
import { z } from "zod";
import type { JsonObject } from "../../core/json.ts";
import { type Question, questionFormatSchema } from "../../core/step.ts";
import type { Agent, Tool } from "../agent.ts";

/** What a valid step wants. `wait` is in minutes from now; arguments are parsed, with defaults applied. */
export type Choice =
  | { type: "call"; calls: ChosenCall[] }
  | { type: "reply"; text: string }
  | { type: "ask"; text: string; format: Question["format"]; urgency: Question["urgency"] }
  | { type: "wait"; minutes: number; reason: string }
  | { type: "handoff"; to: string; reason: string; text: string }
  | { type: "finish"; text: string | null };

export interface ChosenCall {
  tool: Tool;
  args: JsonObject;
}

export interface Intent {
  readonly name: string;
  readonly description: string;
  readonly body: z.ZodObject;
  /** Called with what `body` parsed. A text is a problem for the next step to learn from. */
  choose(body: unknown): Choice | string;
}

/** Characters of a reply at most: more than any channel shows in one message. */
export const maxTextCharacters = 40_000;
const maxWaitMinutes = 7 * 24 * 60;
const maxGatheredCalls = 4;

const text = z
  .string()
  .max(maxTextCharacters)
  .refine((value) => value.trim() !== "", { error: "must not be empty" });
const reason = z.string().max(4_000);

const defineIntent = <Body extends z.ZodObject>(
  name: string,
  description: string,
  body: Body,
  choose: (body: z.output<Body>) => Choice | string,
): Intent => ({ name, description, body, choose: choose as Intent["choose"] });

/**
 * All intents of an agent, in the order the model is shown them.
 * @throws {Error} when a tool takes the name of another tool or of an intent that every agent has.
 */
export function intentsOf(agent: Agent): Intent[] {
  const intents = [
    ...agent.tools.map(toolIntent),
    ...gatherIntents(agent.tools.filter((tool) => tool.effect === "read")),
    replyIntent,
    askIntent,
    waitIntent,
    ...handoffIntents(agent.handoffTo),
    finishIntent,
  ];
  const names = intents.map((intent) => intent.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index || reservedTwice(agent, name));
  if (twice !== undefined) throw new Error(`agent ${agent.name}: two intents are called "${twice}"`);
  return intents;
}

const reserved = new Set(["gather", "reply", "ask_human", "wait", "handoff", "finish"]);

/** A tool keeps clear of every reserved name, even of one that this agent does not have today. */
const reservedTwice = (agent: Agent, name: string): boolean =>
  reserved.has(name) && agent.tools.some((tool) => tool.name === name);

const toolIntent = (tool: Tool): Intent =>
  defineIntent(tool.name, tool.description, z.object({ args: tool.input }), ({ args }) => ({
    type: "call",
    calls: [{ tool, args: storable(args) }],
  }));

/** Arguments as the log will hold them: members that are undefined are left out. */
const storable = (args: unknown): JsonObject => JSON.parse(JSON.stringify(args)) as JsonObject;

function gatherIntents(reads: readonly Tool[]): Intent[] {
  if (reads.length < 2) return [];
  const options = reads.map((tool) => z.object({ tool: z.literal(tool.name), args: tool.input }));
  const call = z.discriminatedUnion("tool", options as unknown as [(typeof options)[number]]);
  const toolNamed = (name: string): Tool[] => reads.filter((tool) => tool.name === name);
  return [
    defineIntent(
      "gather",
      `Look up two to ${maxGatheredCalls} things side by side, when none of them depends on another.`,
      z.object({ calls: z.array(call).min(1).max(maxGatheredCalls) }),
      ({ calls }) => ({
        type: "call",
        calls: calls.flatMap(({ tool: name, args }) =>
          toolNamed(name).map((tool) => ({ tool, args: storable(args) })),
        ),
      }),
    ),
  ];
}

const replyIntent = defineIntent("reply", "Answer the people in the thread.", z.object({ text }), (body) => ({
  type: "reply",
  text: body.text,
}));

const askIntent = defineIntent(
  "ask_human",
  "Ask the people in the thread something that you need to know in order to go on.",
  z.object({
    question: text.refine((value) => value.length <= 10_000, { error: "has more than 10000 characters" }),
    format: z.enum(["free_text", "yes_no", "choices"]),
    choices: z
      .array(z.string())
      .nullish()
      .describe("For the format choices: two to ten short ones. Otherwise null."),
    urgency: z.enum(["low", "normal", "high"]),
  }),
  (body) => {
    const shape =
      body.format === "choices" ? { kind: body.format, choices: body.choices } : { kind: body.format };
    const format = questionFormatSchema.safeParse(shape);
    if (!format.success) return "choices: must be two to ten texts of 1 to 200 characters";
    return { type: "ask", text: body.question, format: format.data, urgency: body.urgency };
  },
);

const waitIntent = defineIntent(
  "wait",
  "Do nothing for some minutes and look again then.",
  z.object({ minutes: z.number().min(1).max(maxWaitMinutes), reason }),
  (body) => ({ type: "wait", minutes: Math.ceil(body.minutes), reason: body.reason }),
);

function handoffIntents(handoffTo: readonly string[]): Intent[] {
  const targets = [...new Set(handoffTo)];
  if (targets.length === 0) return [];
  return [
    defineIntent(
      "handoff",
      "Hand the thread over to somebody who can help better.",
      z.object({
        to: z.enum(targets as [string, ...string[]]),
        reason,
        text: z.string().max(maxTextCharacters).describe("What to tell the people in the thread about it."),
      }),
      (body) => ({ type: "handoff", to: body.to, reason: body.reason, text: body.text }),
    ),
  ];
}

const finishIntent = defineIntent(
  "finish",
  "End without anything more to do, with or without a last word.",
  z.object({ text: z.string().max(maxTextCharacters).nullish() }),
  (body) => ({ type: "finish", text: body.text?.trim() ? body.text : null }),
);
