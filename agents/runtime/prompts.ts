/**
 * The prompt registry: every version of every agent's prompt, read once at the start. Which version a thread gets
 * follows from its id alone, so that any worker, and the same worker after a crash, chooses the same.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Liquid, type Template } from "liquidjs";
import { parse } from "yaml";
import { z } from "zod";
import type { JsonObject } from "../../core/json.ts";
import { ProblemsError, problemsOf, schemaProblems } from "./problems.ts";

export interface RenderedPrompt {
  version: string;
  /** SHA-256 of the file's bytes, in hex: what was in force, whatever the file says today. */
  hash: string;
  text: string;
}

export interface PromptVersion {
  readonly agent: string;
  readonly version: string;
  readonly hash: string;
  /** Share of new threads, relative to the other active versions. 0 when it is not active. */
  readonly weight: number;
  readonly file: string;
  /** The file's text, not rendered. */
  readonly text: string;
}

export interface Prompts {
  /** Every version of an agent, active or not. Empty for an unknown agent. */
  versions(agent: string): readonly PromptVersion[];
  /**
   * The version that this thread gets, rendered.
   * @throws {Error} when the agent has no prompt or a variable is missing: `check` finds both at the start.
   */
  forThread(agent: string, threadId: string, variables: JsonObject): RenderedPrompt;
  /** One version by name, for evals, replays and comparisons. */
  exactly(agent: string, version: string, variables: JsonObject): RenderedPrompt;
  /** What would go wrong for this agent with these variables; empty when nothing does. */
  check(agent: string, variables: JsonObject): string[];
}

const maxPromptBytes = 256 * 1024;
const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/i, "must be letters, digits, dots and hyphens");
const indexSchema = z.record(
  nameSchema,
  z.strictObject({
    /** The versions that threads get. Rolling back is naming the older one here. */
    active: z.array(nameSchema).min(1, "must name at least one version"),
    /** Relative shares, 1 where none is given. */
    weights: z.record(nameSchema, z.number().positive().max(1_000_000)).default({}),
    /** Kept for comparison and replay, but given to no thread. */
    retired: z.array(nameSchema).default([]),
  }),
);
type Index = z.infer<typeof indexSchema>;

interface LoadedVersion extends PromptVersion {
  readonly template: Template[];
}

/** No file system: a prompt that includes another would not be covered by its hash. */
const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  templates: {},
  parseLimit: maxPromptBytes,
  renderLimit: 1_000,
  memoryLimit: 10_000_000,
});

/**
 * Reads the folders' `index.yaml` and every version they name.
 * @throws {ProblemsError} that lists everything that is wrong in all folders.
 */
export async function loadPrompts(folders: readonly string[]): Promise<Prompts> {
  const problems: string[] = [];
  const byAgent = new Map<string, LoadedVersion[]>();
  for (const folder of folders) {
    const loaded = await loadFolder(folder).catch((error: unknown) => {
      problems.push(...problemsOf(error, join(folder, "index.yaml")));
      return new Map<string, LoadedVersion[]>();
    });
    for (const [agent, versions] of loaded) {
      if (byAgent.has(agent))
        problems.push(`${join(folder, "index.yaml")}: another folder has prompts for ${agent} already`);
      else byAgent.set(agent, versions);
    }
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return registry(byAgent);
}

async function loadFolder(folder: string): Promise<Map<string, LoadedVersion[]>> {
  const indexFile = join(folder, "index.yaml");
  const index = await readFile(indexFile, "utf8").catch((error: unknown) => {
    throw new Error("cannot be read; it names the versions of each agent's prompt", { cause: error });
  });
  const parsed = indexSchema.safeParse(parse(index));
  if (!parsed.success) throw new ProblemsError(schemaProblems(parsed.error, indexFile));
  const problems = Object.entries(parsed.data).flatMap(([agent, entry]) =>
    indexProblems(entry).map((problem) => `${indexFile}.${agent}: ${problem}`),
  );
  const loaded = new Map<string, LoadedVersion[]>();
  for (const [agent, entry] of Object.entries(parsed.data)) {
    loaded.set(agent, await loadVersions({ folder, agent, entry, problems }));
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return loaded;
}

function indexProblems({ active, weights, retired }: Index[string]): string[] {
  const named = [...active, ...retired];
  return [
    ...Object.keys(weights)
      .filter((version) => !active.includes(version))
      .map((version) => `weights names ${version}, which is not active`),
    ...named
      .filter((version, at) => named.indexOf(version) !== at)
      .map((version) => `${version} is named twice`),
  ];
}

interface VersionsToLoad {
  folder: string;
  agent: string;
  entry: Index[string];
  problems: string[];
}

async function loadVersions({ folder, agent, entry, problems }: VersionsToLoad): Promise<LoadedVersion[]> {
  const named = [...new Set([...entry.active, ...entry.retired])];
  const loaded = await Promise.all(
    named.map(async (version): Promise<LoadedVersion[]> => {
      const file = join(folder, agent, `${version}.md`);
      try {
        const bytes = await readFile(file);
        if (bytes.length > maxPromptBytes) throw new Error(`is larger than ${maxPromptBytes} bytes`);
        const text = bytes.toString("utf8");
        if (text.trim() === "") throw new Error("is empty");
        const hash = createHash("sha256").update(bytes).digest("hex");
        const weight = entry.active.includes(version) ? (entry.weights[version] ?? 1) : 0;
        return [{ agent, version, hash, weight, file, text, template: liquid.parse(text) }];
      } catch (error) {
        problems.push(...problemsOf(error, file));
        return [];
      }
    }),
  );
  return loaded.flat();
}

function registry(byAgent: ReadonlyMap<string, readonly LoadedVersion[]>): Prompts {
  const versions = (agent: string): readonly LoadedVersion[] => byAgent.get(agent) ?? [];
  return {
    versions,
    forThread: (agent, threadId, variables) => render(pick(agent, versions(agent), threadId), variables),
    exactly(agent, version, variables) {
      const found = versions(agent).find((known) => known.version === version);
      if (found === undefined) throw new Error(`${agent} has no prompt version ${version}`);
      return render(found, variables);
    },
    check(agent, variables) {
      if (versions(agent).length === 0) return [`${agent} has no prompt in an index.yaml`];
      return versions(agent).flatMap((version) => {
        try {
          render(version, variables);
          return [];
        } catch (error) {
          return problemsOf(error, version.file);
        }
      });
    },
  };
}

const render = ({ version, hash, template }: LoadedVersion, variables: JsonObject): RenderedPrompt => ({
  version,
  hash,
  text: String(liquid.renderSync(template, variables)).trim(),
});

/** A point on the line of all weights, from the hash of agent and thread. */
function pick(agent: string, versions: readonly LoadedVersion[], threadId: string): LoadedVersion {
  const active = versions.filter(({ weight }) => weight > 0);
  const total = active.reduce((sum, { weight }) => sum + weight, 0);
  const point = createHash("sha256").update(`${agent}\n${threadId}`).digest().readUInt32BE(0) / 2 ** 32;
  let passed = 0;
  const chosen = active.find(({ weight }) => {
    passed += weight;
    return point * total < passed;
  });
  const fallback = chosen ?? active.at(-1);
  if (fallback === undefined) throw new Error(`${agent} has no active prompt`);
  return fallback;
}
