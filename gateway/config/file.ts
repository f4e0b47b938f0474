/** Reads parley.yaml and turns whatever is wrong with it into problems that name the line. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import type { z } from "zod";
import type { Problem } from "./problems.ts";
import { type FileSettings, fileSchema } from "./schema.ts";

export type Path = readonly (string | number)[];

/** Gives the place of a path for people: `parley.yaml:12 policies.refunds.roles[0]`. */
export type Locate = (path: Path) => string;

export interface ReadFile {
  settings: FileSettings | null;
  locate: Locate;
  problems: Problem[];
}

/** @throws nothing: an unreadable file is a problem among the others. */
export function readSettingsFile(file: string): ReadFile {
  try {
    return parseSettings(readFileSync(file, "utf8"), basename(file));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    const problem = code === "ENOENT" ? "There is no such file." : `The file cannot be read (${code}).`;
    const fix =
      code === "ENOENT" ? "give --config the path of an existing file." : "make it a readable file.";
    return { settings: null, locate: () => file, problems: [{ where: file, problem, fix }] };
  }
}

export function parseSettings(text: string, name: string): ReadFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const locate: Locate = (path) => `${name}:${lineOf(document, lines, path)} ${pathText(path)}`.trimEnd();
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) =>
      notYaml(`${name}:${lines.linePos(error.pos[0]).line}`, error.message),
    );
    return { settings: null, locate, problems };
  }
  let content: unknown;
  try {
    content = document.toJS();
  } catch (error) {
    // Aliases that multiply beyond measure: the package refuses to expand them.
    return { settings: null, locate, problems: [notYaml(name, (error as Error).message)] };
  }
  const parsed = fileSchema.safeParse(content ?? {});
  if (parsed.success) return { settings: parsed.data, locate, problems: [] };
  const problems = parsed.error.issues.flatMap((issue) => issueProblems(issue, locate));
  return { settings: null, locate, problems: problems.sort(byLine) };
}

const notYaml = (where: string, reason: string): Problem => ({
  where,
  problem: `It is not valid YAML: ${reason}.`,
  fix: "correct the syntax; indent with spaces, and quote texts that begin with special characters.",
});

/** In the order in which a person works through the file. */
export function byLine(a: Problem, b: Problem): number {
  const line = ({ where }: Problem): number => Number(/:(\d+)/.exec(where)?.[1] ?? 0);
  return line(a) - line(b);
}

function issueProblems(issue: z.core.$ZodIssue, locate: Locate): Problem[] {
  const path = issue.path as Path;
  if (issue.code === "unrecognized_keys") {
    return issue.message.split("\n").map((line, index) => {
      const [problem = line, advice = ""] = line.split(/: (.*)/s);
      return { where: locate([...path, issue.keys[index] ?? ""]), problem: sentence(problem), fix: advice };
    });
  }
  if (issue.code === "invalid_key") {
    return [
      {
        where: locate(path),
        problem: sentence(issue.issues[0]?.message ?? issue.message),
        fix: "rename it.",
      },
    ];
  }
  return [
    {
      where: locate(path),
      problem: sentence(issue.message),
      fix: "see docs/configuration.md for what belongs here.",
    },
  ];
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

/** The line of the key at the path, or of the nearest thing above it that exists. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const start = startOf(document, path.slice(0, length));
    if (start !== undefined) return lines.linePos(start).line;
  }
  return 1;
}

function startOf(document: Document, path: Path): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const key = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
    return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  }
  const node = document.getIn(path, true) as Node | undefined;
  return node?.range?.[0];
}

function pathText(path: Path): string {
  return path
    .map((step, index) => (typeof step === "number" ? `[${step}]` : `${index > 0 ? "." : ""}${step}`))
    .join("");
}
