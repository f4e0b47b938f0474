/**
 * Which agents there are: the bundled ones, named here, and those in a folder of the user's own. Loading happens at the
 * start of each worker and reports everything that is wrong at once.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import type { Agent, AgentDefinition, AgentEnvironment } from "./agent.ts";
import deploybot from "./deploybot/agent.ts";
import { agentKit } from "./kit.ts";
import { ProblemsError, problemsOf } from "./runtime/problems.ts";
import { stepForm } from "./runtime/step-schema.ts";
import support from "./support/agent.ts";

export const bundledAgents: readonly AgentDefinition[] = [deploybot, support];

/** A user's agents folder keeps its prompts in this sub-folder, beside the agents. */
export const promptsFolderName = "prompts";
const moduleNames = ["agent.ts", "agent.mjs", "agent.js"];
const maxOwnAgents = 100;

export interface AgentsToLoad {
  /** The user's own agents folder (`agents.path`), absolute. */
  path: string | null;
  /** Names of the agents to load; null for all that there are. */
  enabled: readonly string[] | null;
  environmentFor(name: string): AgentEnvironment | Promise<AgentEnvironment>;
}

/**
 * Loads agents, by name.
 * @throws {ProblemsError} that lists each agent that cannot be loaded, with the reason.
 */
export async function loadAgents({
  path,
  enabled,
  environmentFor,
}: AgentsToLoad): Promise<Map<string, Agent>> {
  const problems: string[] = [];
  const wanted = (name: string): boolean => enabled === null || enabled.includes(name);
  const own = path === null ? [] : await ownFolders(path, problems);
  const bundledNames = bundledAgents.map(({ name }) => name);
  const known = [...bundledNames, ...own];
  problems.push(
    ...(enabled ?? [])
      .filter((name) => !known.includes(name))
      .map((name) => `agents.enabled names ${name}, but there is no such agent (known: ${known.join(", ")})`),
  );
  const definitions = [
    ...bundledAgents.map((definition) => ({ definition, place: `agent ${definition.name}` })),
    ...(path === null ? [] : await importAll(path, own.filter(wanted), problems)),
  ];
  const agents = new Map<string, Agent>();
  for (const { definition, place } of definitions.filter(({ definition: { name } }) => wanted(name))) {
    try {
      const agent = await definition.load(await environmentFor(definition.name));
      problems.push(...agentProblems(agent).map((problem) => `${place}: ${problem}`));
      agents.set(agent.name, agent);
    } catch (error) {
      problems.push(...problemsOf(error, place));
    }
  }
  // An agent that did not load is a problem of its own, not one of those that hand over to it.
  if (problems.length === 0) problems.push(...handoffProblems(agents));
  if (problems.length > 0) throw new ProblemsError(problems);
  return agents;
}

interface Found {
  definition: AgentDefinition;
  place: string;
}

/** The names of the user's agents, which are their folders' names. */
async function ownFolders(path: string, problems: string[]): Promise<string[]> {
  const folders = await agentFolders(path).catch((error: unknown) => {
    problems.push(...problemsOf(error, `agents.path ${path}`));
    return [];
  });
  if (folders.length > maxOwnAgents)
    problems.push(`agents.path ${path}: holds more than ${maxOwnAgents} agents`);
  return folders.slice(0, maxOwnAgents);
}

async function importAll(path: string, names: readonly string[], problems: string[]): Promise<Found[]> {
  const found: Found[] = [];
  for (const name of names) {
    const place = join(path, name);
    try {
      if (bundledAgents.some((bundled) => bundled.name === name)) {
        throw new Error(`${name} is the name of a bundled agent; rename the folder and the agent`);
      }
      found.push({ definition: await importDefinition(place, name), place });
    } catch (error) {
      problems.push(...problemsOf(error, place));
    }
  }
  return found;
}

/** Sub-folders in the order of their names. Hidden ones, packages and prompts are not agents. */
async function agentFolders(path: string): Promise<string[]> {
  const entries = await readdir(path);
  const candidates = entries.filter(
    (name) => !/^[._]/.test(name) && ![promptsFolderName, "node_modules"].includes(name),
  );
  const isFolder = await Promise.all(
    candidates.map(async (name) => (await stat(join(path, name))).isDirectory()),
  );
  return candidates.filter((_, at) => isFolder[at]).sort();
}

const definitionSchema = z.object({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,39}$/, "must be lower case letters, digits, hyphens and underscores"),
  load: z.custom<AgentDefinition["load"]>(
    (value) => typeof value === "function",
    "is not what defineAgent returns",
  ),
});

async function importDefinition(folder: string, name: string): Promise<AgentDefinition> {
  const files = await readdir(folder);
  const file = moduleNames.find((candidate) => files.includes(candidate));
  if (file === undefined) throw new Error(`has no ${moduleNames.join(", ")}`);
  const loaded = (await import(pathToFileURL(join(folder, file)).href)) as { default?: unknown };
  const exported = typeof loaded.default === "function" ? await loaded.default(agentKit) : loaded.default;
  const parsed = definitionSchema.safeParse(exported);
  if (!parsed.success) {
    const reasons = parsed.error.issues.map((issue) => `${issue.path.join(".") || "it"}: ${issue.message}`);
    throw new Error(
      `${file} must export a definition made by defineAgent as its default (${reasons.join("; ")})`,
    );
  }
  if (parsed.data.name !== name) {
    throw new Error(
      `the agent is called ${parsed.data.name}, but its folder ${name}: give both the same name`,
    );
  }
  return parsed.data;
}

const toolName = /^[a-z][a-z0-9_]{0,59}$/;
const effects = ["read", "idempotent", "keyed", "once"];

/** What the types promise, checked: a user's agent may be plain JavaScript. */
function agentProblems(agent: Agent): string[] {
  const { maxSteps } = agent.limits;
  const problems = [
    ...(typeof agent.description === "string" && agent.description !== "" ? [] : ["has no description"]),
    ...(Number.isInteger(maxSteps) && maxSteps >= 1 && maxSteps <= 20
      ? []
      : [`maxSteps is ${maxSteps}; it must be 1 to 20`]),
    ...(Array.isArray(agent.tools) ? agent.tools.flatMap(toolProblems) : ["tools must be a list"]),
  ];
  if (problems.length > 0) return problems;
  try {
    stepForm(agent);
    return [];
  } catch (error) {
    return problemsOf(error, "tools");
  }
}

function toolProblems({
  name,
  description,
  input,
  effect,
  timeoutMs,
  approval,
  run,
}: Agent["tools"][number]): string[] {
  const checks: [boolean, string][] = [
    [
      toolName.test(name),
      "its name must be lower case letters, digits and underscores, beginning with a letter",
    ],
    [typeof description === "string" && description !== "", "has no description"],
    [input instanceof Object && input.def?.type === "object", "its input must be a z.object"],
    [effects.includes(effect), `its effect must be one of ${effects.join(", ")}`],
    [timeoutMs >= 1 && timeoutMs <= 24 * 60 * 60_000, "its timeoutMs must be 1 to 86400000"],
    [
      approval === null || ["string", "function"].includes(typeof approval),
      "its approval must be null, a policy's name or a function",
    ],
    [typeof run === "function", "has no run function"],
  ];
  return checks.filter(([fine]) => !fine).map(([, problem]) => `tool ${name}: ${problem}`);
}

function handoffProblems(agents: ReadonlyMap<string, Agent>): string[] {
  return [...agents.values()].flatMap(({ name, handoffTo }) =>
    handoffTo
      .filter((target) => target === name || (target !== "person" && !agents.has(target)))
      .map(
        (target) =>
          `agent ${name}: handoffTo names ${target}, which is ${target === name ? "itself" : "no loaded agent"}`,
      ),
  );
}
