/** What is wrong with files that a user wrote: all of it at once, each problem a sentence that names its place. */
import type { z } from "zod";

export class ProblemsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ProblemsError";
    this.problems = problems;
  }
}

/** The sentences for what a schema found, each beginning with `place` and the path below it. */
export function schemaProblems(error: z.ZodError, place: string): string[] {
  return error.issues.map(({ path, message }) => {
    const where = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
    return `${place}${where}: ${message}`;
  });
}

/** The problems of an error that may be one of ours; anything else becomes one sentence after `place`. */
export function problemsOf(error: unknown, place: string): string[] {
  if (error instanceof ProblemsError) return [...error.problems];
  return [`${place}: ${error instanceof Error ? error.message : String(error)}`];
}
