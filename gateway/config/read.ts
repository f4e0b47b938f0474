/**
 * The one place that reads the environment. `readConfig` gives a frozen, typed configuration, or one error that lists
 * everything that is wrong with `.env`, the environment and parley.yaml together.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Policy } from "../../core/approval.ts";
import { disagreements } from "./agreement.ts";
import { readChannels } from "./channels.ts";
import type { BudgetsConfig, Config, ModelConfig, Role } from "./config.ts";
import { demoSettings } from "./demo.ts";
import { type Environment, misspelt, readVariables, type Variables, withEnvFile } from "./environment.ts";
import { type Locate, type ReadFile, readSettingsFile } from "./file.ts";
import { ConfigError, type Problem } from "./problems.ts";
import { type FileSettings, fileSchema } from "./schema.ts";

export interface ReadConfigOptions {
  env?: Environment;
  /** Where `.env` and parley.yaml are looked for, and where relative paths in the environment start. */
  cwd?: string;
  role?: Role;
  overrides?: {
    /** A configuration file in place of `parley.yaml` in `cwd`; it has to exist. */
    file?: string | undefined;
  };
}

export const defaultListen = { host: "127.0.0.1", port: 7470 };
const bundledAgentsFolder = fileURLToPath(new URL("../../agents/", import.meta.url));

/**
 * Reads `.env`, parley.yaml and the names of the agents' folders; touches nothing else.
 * @throws {ConfigError} with all problems at once.
 */
export function readConfig(options: ReadConfigOptions = {}): Config {
  const { cwd = process.cwd(), role = "all", overrides = {} } = options;
  const withFile = withEnvFile(options.env ?? process.env, cwd);
  const { values, problems: wrongVariables } = readVariables(withFile.env);
  const given = new Set(Object.keys(withFile.env).filter((name) => withFile.env[name]?.trim()));
  const channels = readChannels(values, given);
  const file = settingsFile(cwd, overrides.file);
  const read = file === null ? builtIn() : readSettingsFile(file);
  const folder = file === null ? cwd : dirname(file);
  const problems = [
    ...withFile.problems,
    ...wrongVariables,
    ...channels.problems,
    ...needs(given, role),
    ...read.problems,
    ...(read.settings === null ? [] : crossChecks(read.settings, folder, read.locate)),
  ];
  const listen = {
    host: values.PARLEY_HOST ?? defaultListen.host,
    port: values.PARLEY_PORT ?? defaultListen.port,
  };
  const dataDir = resolve(cwd, values.PARLEY_DATA_DIR ?? ".parley");
  if (problems.length > 0 || read.settings === null) {
    const wrong = wrongVariables.some(({ where }) => where === "PARLEY_HOST" || where === "PARLEY_PORT");
    const listens = !wrong && role !== "worker";
    const holdsFolder = !given.has("DATABASE_URL");
    throw new ConfigError(problems, {
      listen: listens ? listen : null,
      dataDir: holdsFolder ? dataDir : null,
    });
  }
  const warnings = [...misspelt(withFile.env), ...doubts(given)];
  return deepFreeze({
    role,
    file,
    folder,
    dataDir,
    listen,
    ...fromVariables(values),
    model: modelConfig(values, read.settings),
    channels: channels.channels,
    ...fromSettings(read.settings, folder),
    commandEnv: harmless(withFile.env),
    warnings,
  });
}

const inheritable = ["PATH", "HOME", "LANG"];

/** What commands that agents start may inherit: enough to find programs, and never a secret. */
const harmless = (env: Environment): Record<string, string> =>
  Object.fromEntries(inheritable.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));

function settingsFile(cwd: string, given: string | undefined): string | null {
  if (given !== undefined) return resolve(cwd, given);
  const usual = join(cwd, "parley.yaml");
  return existsSync(usual) ? usual : null;
}

function builtIn(): ReadFile {
  return {
    settings: fileSchema.parse(demoSettings),
    locate: () => "the built-in configuration",
    problems: [],
  };
}

function crossChecks(settings: FileSettings, folder: string, locate: Locate): Problem[] {
  const { path } = settings.agents;
  if (path !== undefined && !existsSync(resolve(folder, path))) {
    const problem = `There is no folder ${resolve(folder, path)}.`;
    return [{ where: locate(["agents", "path"]), problem, fix: "create it, or correct the path." }];
  }
  return disagreements(settings, agentNames(settings, folder), locate);
}

/** Agents are folders: the bundled ones, and those in the user's own folder. agents/registry.ts loads them by the same rule. */
function agentNames({ agents }: FileSettings, folder: string): string[] {
  const own = agents.path === undefined ? [] : agentFolders(resolve(folder, agents.path));
  return [...new Set([...agentFolders(bundledAgentsFolder), ...own])].sort();
}

function agentFolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) =>
    ["agent.ts", "agent.mjs", "agent.js"].some((file) => existsSync(join(folder, name, file))),
  );
}

/** Variables that others need. */
function needs(given: ReadonlySet<string>, role: Role): Problem[] {
  const problems: Problem[] = [];
  if (role !== "all" && !given.has("DATABASE_URL")) {
    problems.push({
      where: "DATABASE_URL",
      problem: `It is not set, but the role "${role}" shares its work with other processes through a database.`,
      fix: "set DATABASE_URL=postgres://user:password@host:5432/parley, or start without --role.",
    });
  }
  const models = ["PARLEY_MODEL", "PARLEY_FALLBACK_MODEL"].filter((name) => given.has(name));
  if (models.length > 0 && !given.has("OPENAI_API_KEY") && !given.has("OPENAI_BASE_URL")) {
    problems.push({
      where: "OPENAI_API_KEY",
      problem: `It is not set, but ${models.join(" and ")} is: without a key no model can be asked.`,
      fix: `set OPENAI_API_KEY (or OPENAI_BASE_URL of a server that needs no key), or remove ${models.join(" and ")}.`,
    });
  }
  return problems;
}

/** What is allowed but probably not meant. */
function doubts(given: ReadonlySet<string>): string[] {
  return given.has("OPENAI_BASE_URL") && !given.has("PARLEY_MODEL")
    ? [`OPENAI_BASE_URL is set without PARLEY_MODEL: that server will be asked for "${defaultModel}".`]
    : [];
}

export const defaultModel = "gpt-5-mini";

function fromVariables(values: Variables) {
  return {
    publicUrl: values.PARLEY_PUBLIC_URL ?? null,
    adminToken: values.PARLEY_ADMIN_TOKEN ?? null,
    databaseUrl: values.DATABASE_URL ?? null,
    redisUrl: values.REDIS_URL ?? null,
  };
}

function modelConfig(values: Variables, { model }: FileSettings): ModelConfig {
  return {
    online: values.OPENAI_API_KEY !== undefined || values.OPENAI_BASE_URL !== undefined,
    apiKey: values.OPENAI_API_KEY ?? null,
    baseUrl: values.OPENAI_BASE_URL ?? null,
    name: values.PARLEY_MODEL ?? defaultModel,
    fallback: values.PARLEY_FALLBACK_MODEL ?? null,
    prices: model.prices,
  };
}

function fromSettings(settings: FileSettings, folder: string) {
  const { agents, routes, delivery } = settings;
  return {
    agents: {
      default: agents.default,
      path: agents.path === undefined ? null : resolve(folder, agents.path),
      enabled: agents.enabled ?? null,
      settings: agents.settings,
      names: agentNames(settings, folder),
    },
    routing: { rules: routes, default: agents.default },
    access: settings.access,
    people: settings.people,
    policies: Object.fromEntries(
      Object.entries(settings.policies).map(([name, policy]) => [name, namedPolicy(name, policy)]),
    ),
    limits: settings.limits,
    budgets: settings.budgets as BudgetsConfig,
    delivery: {
      maxAttempts: delivery.maxAttempts,
      firstRetryMs: delivery.firstRetryAfter,
      longestRetryMs: delivery.longestRetryAfter,
    },
    logs: settings.logs,
  };
}

function namedPolicy(name: string, { expiresAfter, ...policy }: FileSettings["policies"][string]): Policy {
  return { name, ...policy, expiresAfterMs: expiresAfter ?? null };
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
