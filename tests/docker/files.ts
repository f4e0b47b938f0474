/** Reads the container files as far as the tests compare them with the program. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

export const root = join(import.meta.dirname, "../..");
const read = (name: string): string => readFileSync(join(root, name), "utf8");

export interface Instruction {
  name: string;
  text: string;
}

/** The stages of the Dockerfile, each as its instructions; continued lines are one, comments are left out. */
export function dockerStages(): Instruction[][] {
  const lines = read("Dockerfile")
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const stages: Instruction[][] = [];
  for (const line of lines) {
    const [, name = "", text = ""] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (name === "FROM") stages.push([]);
    stages.at(-1)?.push({ name, text });
  }
  return stages;
}

/** What a stage copies out of the repository, and where to below its folder. */
export function copiesOf(stage: readonly Instruction[]): { from: string; to: string }[] {
  return stage
    .filter(({ name, text }) => name === "COPY" && !text.startsWith("--from"))
    .flatMap(({ text }) => {
      const paths = text.split(/\s+/);
      const to = paths.pop() ?? "";
      return paths.map((from) => ({ from, to: to === "./" ? from : to }));
    });
}

/** The command after CMD in its JSON form, in a HEALTHCHECK as well. */
export function execForm(stage: readonly Instruction[], name: string): string[] {
  const text = stage.findLast((each) => each.name === name)?.text ?? "";
  return z.array(z.string()).parse(JSON.parse(text.slice(text.indexOf("["))));
}

/** Whether .dockerignore keeps a path from the builder: the last line that matches decides, as Docker documents it. */
export function isIgnored(path: string): boolean {
  const lines = read(".dockerignore")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const parents = path.split("/").map((_, at, parts) => parts.slice(0, at + 1).join("/"));
  const matches = (pattern: string): boolean => parents.some((parent) => globOf(pattern).test(parent));
  return lines.reduce((ignored, line) => {
    const [keeps, pattern] = line.startsWith("!") ? [true, line.slice(1)] : [false, line];
    return matches(pattern) ? !keeps : ignored;
  }, false);
}

/** Docker's patterns: unlike a shell's, a star stands for a leading dot as well. */
function globOf(pattern: string): RegExp {
  const parts = pattern.split(/(\*\*\/|\*)/).map((part) => {
    if (part === "**/") return "(?:.+/)?";
    return part === "*" ? "[^/]*" : part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${parts.join("")}$`);
}

const serviceSchema = z.object({
  image: z.string(),
  build: z.string().optional(),
  command: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  deploy: z.object({ replicas: z.number() }).optional(),
  env_file: z.array(z.object({ path: z.string(), required: z.boolean() })).default([]),
  healthcheck: z.object({ test: z.array(z.string()) }),
});
export type Service = z.infer<typeof serviceSchema>;

const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.null()),
});

export const compose = () => composeSchema.parse(parse(read("docker-compose.yml"), { merge: true }));

/** A health check's command as the container runs it: `$$` is how compose files write a dollar sign. */
export const healthCommand = ({ healthcheck }: Service): string[] =>
  healthcheck.test.slice(1).map((word) => word.replaceAll("$$", "$"));
