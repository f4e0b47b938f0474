/**
 * Evals: what an agent should do next in a given situation, as data beside the agent. The runner is pure but for the
 * function that decides, so the same cases test a model, a new prompt version, and the offline stand-in.
 */
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { z } from "zod";
import { type Json, type JsonObject, jsonObjectSchema, jsonSchema } from "../../core/json.ts";
import type { OfflineHappening, OfflineStep, OfflineView } from "../agent.ts";
import { ProblemsError, schemaProblems } from "./problems.ts";

const called = { tool: z.string(), args: jsonObjectSchema };
const judged = { ...called, reason: z.string(), by: z.string() };
const happeningSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("result"), ...called, result: jsonSchema }),
  z.strictObject({ kind: z.literal("failure"), ...called, error: z.string() }),
  z.strictObject({ kind: z.literal("rejected"), ...judged }),
  z.strictObject({ kind: z.literal("expired"), ...called }),
  z.strictObject({ kind: z.literal("asked_back"), ...judged }),
  z.strictObject({ kind: z.literal("problem"), line: z.string() }),
]) satisfies z.ZodType<OfflineHappening>;

const words = z.union([z.string().transform((word) => [word]), z.array(z.string())]);

const caseSchema = z.strictObject({
  name: z.string().min(1),
  message: z.string(),
  /** What happened since the message, oldest first. */
  since: z.array(happeningSchema).default([]),
  prefetched: jsonObjectSchema.default({}),
  expect: z.strictObject({
    /** One intent, or any of several. */
    intent: words,
    /** Every member must be among the step's arguments, equal. */
    args: jsonObjectSchema.default({}),
    /** The text of a reply, question, hand-over or end has all of these, without regard to case. */
    contains: words.default([]),
    lacks: words.default([]),
  }),
});
const evalsSchema = z.strictObject({ cases: z.array(caseSchema).min(1) });
export type EvalCase = z.infer<typeof caseSchema>;

export interface EvalResult {
  name: string;
  passed: boolean;
  /** What was expected and not found, one sentence each. */
  misses: string[];
  /** Null when deciding threw. */
  step: OfflineStep | null;
}

/** @throws {ProblemsError} that lists everything that is wrong with the file. */
export async function readEvals(file: string): Promise<EvalCase[]> {
  const parsed = evalsSchema.safeParse(parse(await readFile(file, "utf8")));
  if (!parsed.success) throw new ProblemsError(schemaProblems(parsed.error, file));
  return parsed.data.cases;
}

/** Runs the cases one after the other; one that throws has failed, and the others still run. */
export async function runEvals(
  cases: readonly EvalCase[],
  decide: (view: OfflineView) => OfflineStep | Promise<OfflineStep>,
): Promise<EvalResult[]> {
  const results: EvalResult[] = [];
  for (const { name, message, since, prefetched, expect } of cases) {
    try {
      const step = await decide({ message, since, prefetched });
      const misses = missesOf(step, expect);
      results.push({ name, passed: misses.length === 0, misses, step });
    } catch (error) {
      const miss = `deciding failed: ${error instanceof Error ? error.message : String(error)}`;
      results.push({ name, passed: false, misses: [miss], step: null });
    }
  }
  return results;
}

function missesOf(step: OfflineStep, expect: EvalCase["expect"]): string[] {
  const said = spokenText(step);
  const has = (word: string): boolean => said.toLowerCase().includes(word.toLowerCase());
  const args = isObject(step.args) ? step.args : {};
  return [
    ...(expect.intent.includes(step.intent)
      ? []
      : [`intent is ${step.intent}, not ${expect.intent.join(" or ")}`]),
    ...Object.entries(expect.args)
      .filter(([key, value]) => !isDeepStrictEqual(args[key], value))
      .map(([key, value]) => `args.${key} is ${JSON.stringify(args[key])}, not ${JSON.stringify(value)}`),
    ...expect.contains.filter((word) => !has(word)).map((word) => `"${word}" is missing in: ${said}`),
    ...expect.lacks.filter(has).map((word) => `"${word}" should not be in: ${said}`),
  ];
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const spokenText = (step: OfflineStep): string =>
  [step.text, step.question].filter((part) => typeof part === "string").join("\n");
