/**
 * What every role stands on: the data folder, the database, the queue, live signals, agents and models. Opened in this
 * order, closed in the reverse one; whatever fails, nothing stays behind.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Agent } from "../agents/agent.ts";
import { loadAgents, promptsFolderName } from "../agents/registry.ts";
import { ProblemsError } from "../agents/runtime/problems.ts";
import { loadPrompts, type Prompts } from "../agents/runtime/prompts.ts";
import { errorLine } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";
import { memoryLive, type OpenLive } from "../queue/live.ts";
import { postgresLive } from "../queue/live-postgres.ts";
import { redisLive } from "../queue/live-redis.ts";
import { openQueue, type Queue } from "../queue/queue.ts";
import { FolderHeldError } from "../store/embedded/errors.ts";
import { holdFolder } from "../store/embedded/instance-lock.ts";
import { startEmbeddedPostgres } from "../store/embedded/server.ts";
import { type Database, migrate, openDatabase } from "../store/postgres.ts";
import { type Config, type Problem, StartError } from "./config/index.ts";

export interface Foundation {
  config: Config;
  log: Log;
  database: Database;
  databaseUrl: string;
  queue: Queue;
  live: OpenLive;
  agents: ReadonlyMap<string, Agent>;
  prompts: Prompts;
  /** Resolves when the embedded database has ended without being asked to. Never, for an external one. */
  databaseDied: Promise<string>;
  close(): Promise<void>;
}

/** Undone in reverse order. A step that fails to close does not keep the others from closing. */
export class Closers {
  readonly #steps: (() => Promise<unknown>)[] = [];

  add(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  async close(log: Log): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      await step().catch((error: unknown) => log("warn", "close_failed", { error: errorLine(error) }));
    }
  }
}

/** @throws {StartError} with everything that is wrong at this stage. */
export async function layFoundation(config: Config, log: Log): Promise<Foundation> {
  const closers = new Closers();
  try {
    const { url, died } = await openRecord(config, log, closers);
    const database = openDatabase({
      url,
      onError: (error) => log("warn", "database_connection_lost", { error: errorLine(error) }),
    });
    closers.add(() => database.close());
    const queue = await openQueue(queueServer(config, url), { log });
    closers.add(() => queue.close());
    const live = openLive(config, url, log);
    closers.add(() => live.close());
    const { agents, prompts } = await openAgents(config, database);
    return {
      config,
      log,
      database,
      databaseUrl: url,
      queue,
      live,
      agents,
      prompts,
      databaseDied: died,
      close: () => closers.close(log),
    };
  } catch (error) {
    await closers.close(log);
    throw error;
  }
}

const never = new Promise<string>(() => undefined);

/** Opens the database of record, embedded or external, and brings its schema up to date. */
async function openRecord(
  config: Config,
  log: Log,
  closers: Closers,
): Promise<{ url: string; died: Promise<string> }> {
  const external = config.databaseUrl?.reveal();
  if (external !== undefined) {
    await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
    await migrated(
      external,
      "DATABASE_URL",
      "Check the address, the credentials and that the server is Postgres 14 or later.",
    );
    return { url: external, died: never };
  }
  const hold = await holdFolder(config.dataDir, log).catch((error: unknown) => {
    throw startError("PARLEY_DATA_DIR", errorLine(error, 2_000), heldFix(error));
  });
  closers.add(() => hold.release());
  const server = await startEmbeddedPostgres({
    folder: join(config.dataDir, "postgres"),
    log: log,
  }).catch((error: unknown) => {
    throw startError(
      "embedded Postgres",
      errorLine(error, 4_000),
      "Follow the message, or set DATABASE_URL to a Postgres of your own.",
    );
  });
  closers.add(() => server.stop());
  await migrated(
    server.url,
    "embedded Postgres",
    "The database's folder may be damaged; restore it from a backup.",
  );
  const died = server.exited.then(({ expected, lastLines }) => (expected ? never : lastLines));
  return { url: server.url, died };
}

const heldFix = (error: unknown): string =>
  error instanceof FolderHeldError
    ? "Stop the other Parley, or give this one a data folder of its own with PARLEY_DATA_DIR."
    : "Make the folder writable for this user, or choose another with PARLEY_DATA_DIR.";

async function migrated(url: string, where: string, fix: string): Promise<void> {
  await migrate(url).catch((error: unknown) => {
    throw startError(where, errorLine(error, 1_000), fix);
  });
}

const startError = (where: string, problem: string, fix: string): StartError =>
  new StartError([{ where, problem, fix }]);

const queueServer = (config: Config, url: string) =>
  config.redisUrl === null
    ? ({ kind: "postgres", url } as const)
    : ({ kind: "redis", url: config.redisUrl.reveal() } as const);

function openLive(config: Config, url: string, log: Log): OpenLive {
  if (config.role === "all") return memoryLive(log);
  return config.redisUrl === null ? postgresLive(url, log) : redisLive(config.redisUrl.reveal(), log);
}

const bundledPrompts = fileURLToPath(new URL("../prompts", import.meta.url));

async function openAgents(
  config: Config,
  database: Database,
): Promise<Pick<Foundation, "agents" | "prompts">> {
  const problems: Problem[] = [];
  const note = (error: unknown, fix: string): void => {
    const lines = error instanceof ProblemsError ? error.problems : [errorLine(error, 1_000)];
    problems.push(...lines.map((problem) => ({ where: "agents", problem, fix })));
  };
  const agents = await loadAgents({
    path: config.agents.path,
    enabled: config.agents.enabled,
    async environmentFor(name) {
      const folder = join(config.dataDir, "agents", name);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return {
        settings: config.agents.settings[name] ?? {},
        folder,
        configFolder: config.folder,
        commandEnv: config.commandEnv,
        query: (text, values = []) => database.run({ text, values }),
      };
    },
  }).catch((error: unknown) =>
    note(error, "Correct the agent's settings in parley.yaml or its folder; docs/agents.md explains both."),
  );
  const folders = [
    bundledPrompts,
    ...(config.agents.path === null ? [] : [join(config.agents.path, promptsFolderName)]),
  ];
  const prompts = await loadPrompts(folders).catch((error: unknown) =>
    note(error, "Correct the prompts folder."),
  );
  if (agents && prompts) problems.push(...mismatches(config, agents, prompts));
  if (problems.length > 0 || !agents || !prompts) throw new StartError(problems);
  return { agents, prompts };
}

function mismatches(config: Config, agents: ReadonlyMap<string, Agent>, prompts: Prompts): Problem[] {
  const unwritten = [...agents.values()].flatMap((agent) =>
    prompts.check(agent.name, agent.promptVariables()).map((problem) => ({
      where: `prompts of ${agent.name}`,
      problem,
      fix: "Add the version to prompts/index.yaml, or correct the variable's name in the prompt.",
    })),
  );
  const unnamed = [...agents.values()].flatMap((agent) =>
    agent.tools
      .filter(({ approval }) => typeof approval === "string" && config.policies[approval] === undefined)
      .map(({ name, approval }) => ({
        where: `policies.${String(approval)}`,
        problem: `the tool ${name} of ${agent.name} needs this policy, and there is none of that name`,
        fix: "Write it under policies: in parley.yaml.",
      })),
  );
  const routed = [config.routing.default, ...config.routing.rules.map(({ agent }) => agent)];
  const unloaded = [...new Set(routed)]
    .filter((name) => !agents.has(name))
    .map((name) => ({
      where: "agents.default and routes",
      problem: `the agent ${name} is not loaded`,
      fix: `Name one of: ${[...agents.keys()].join(", ")}.`,
    }));
  return [...unwritten, ...unnamed, ...unloaded];
}
