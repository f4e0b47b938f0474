/**
 * What `parley doctor` looks at: each check says how it stands and what to do. Reads only, except for the probe that the
 * data folder can be written; every check is bounded in time.
 */
import { access, constants, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { errorLine } from "../core/errors.ts";
import { openQueue } from "../queue/queue.ts";
import { type Database, minimumPostgresVersion, openDatabase } from "../store/postgres.ts";
import { missingMigrations } from "../store/readiness.ts";
import { channelWarnings } from "./channel-warnings.ts";
import type { Config } from "./config/index.ts";
import { isParley, portProblem } from "./preflight.ts";

export interface Check {
  name: string;
  outcome: "ok" | "warn" | "fail";
  text: string;
  /** What to do; null when all is well. */
  fix: string | null;
}

const ok = (name: string, text: string): Check => ({ name, outcome: "ok", text, fix: null });
const warn = (name: string, text: string, fix: string): Check => ({ name, outcome: "warn", text, fix });
const fail = (name: string, text: string, fix: string): Check => ({ name, outcome: "fail", text, fix });

export async function examine(config: Config, options: { live: boolean }): Promise<Check[]> {
  return [
    ...configChecks(config),
    await checkDataFolder(config),
    ...(await checkDatabase(config)),
    await checkRedis(config),
    await checkModel(config, options.live),
    await checkConsole(),
    await checkPort(config),
  ];
}

export function checkNode(version = process.versions.node): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const fit = major > 22 || (major === 22 && minor >= 18);
  if (!fit) return fail("Node", `${version} is too old`, "install Node 24.");
  return major >= 24 ? ok("Node", version) : warn("Node", `${version} works`, "Node 24 is recommended.");
}

function configChecks(config: Config): Check[] {
  const source = config.file ?? "the built-in demo (there is no parley.yaml)";
  const warnings = [...config.warnings, ...channelWarnings(config)];
  return [
    ok("configuration", source),
    ...warnings.map((text) => warn("configuration", text, "see docs/configuration.md.")),
  ];
}

async function checkDataFolder({ dataDir, databaseUrl }: Config): Promise<Check> {
  const name = "data folder";
  try {
    const { mode } = await stat(dataDir);
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    const open = (mode & 0o077) !== 0 && databaseUrl === null;
    return open
      ? warn(name, `${dataDir} can be read by other users`, `run: chmod 700 ${dataDir}`)
      : ok(name, dataDir);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "ENOENT") return ok(name, `${dataDir} (the first start creates it)`);
    return fail(
      name,
      `${dataDir} cannot be used (${code})`,
      "make it writable for this user, or set PARLEY_DATA_DIR.",
    );
  }
}

async function checkDatabase({ databaseUrl }: Config): Promise<Check[]> {
  const name = "database";
  if (databaseUrl === null) return [ok(name, "embedded Postgres, started and updated by parley start")];
  const database = openDatabase({ url: databaseUrl.reveal(), maxConnections: 1, statementTimeoutMs: 5_000 });
  try {
    return [await checkVersion(database), await checkMigrations(database)];
  } catch (error) {
    return [
      fail(name, errorLine(error), "check DATABASE_URL, and that the server runs and lets this machine in."),
    ];
  } finally {
    await database.close();
  }
}

async function checkVersion(database: Database): Promise<Check> {
  const text =
    "select current_setting('server_version_num')::int as number, current_setting('server_version') as name";
  const [row] = await database.run({ text });
  const version = `Postgres ${String(row?.name)}`;
  return Number(row?.number) >= minimumPostgresVersion
    ? ok("database", version)
    : fail("database", `${version} is too old`, "use Postgres 14 or later.");
}

async function checkMigrations(database: Database): Promise<Check> {
  const missing = await missingMigrations(database);
  return missing.length === 0
    ? ok("migrations", "up to date")
    : warn("migrations", `${missing.length} not applied yet`, "the next parley start applies them.");
}

/** Opens the queue as a worker would, and listens to what it says about the server. */
async function checkRedis({ redisUrl }: Config): Promise<Check> {
  const name = "Redis";
  if (redisUrl === null) return ok(name, "not used: the queue is in Postgres");
  const heard = new Map<string, { [name: string]: unknown }>();
  const queue = await openQueue(
    { kind: "redis", url: redisUrl.reveal() },
    { log: (_level, event, facts) => void heard.set(event, facts) },
  );
  try {
    // Measuring asks the server; by the time it has answered, the queue has looked at the eviction policy as well.
    await queue.depth();
    const evicts = heard.get("queue.redis_evicts");
    if (evicts === undefined) return ok(name, "answers, and evicts nothing");
    const text = `throws data away when memory is short (${String(evicts.policy)})`;
    return warn(name, text, "set maxmemory-policy noeviction.");
  } catch {
    return fail(
      name,
      "does not answer",
      "check REDIS_URL, and that the server runs and lets this machine in.",
    );
  } finally {
    await queue.close();
  }
}

async function checkModel({ model }: Config, live: boolean): Promise<Check> {
  const name = "model";
  if (!model.online) {
    return warn(
      name,
      "no key is set: an offline stand-in plays the model",
      "set OPENAI_API_KEY, or OPENAI_BASE_URL.",
    );
  }
  if (!live) return ok(name, `${model.name} (not asked; --live asks)`);
  return askModel(model);
}

/** Lists the models: it proves the key and the endpoint, and costs nothing. */
async function askModel({ apiKey, baseUrl, name: wanted }: Config["model"]): Promise<Check> {
  const address = `${baseUrl ?? "https://api.openai.com/v1"}/models`;
  try {
    const response = await fetch(address, {
      headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey.reveal()}` },
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (response.status === 401 || response.status === 403) {
      return fail("model", `the key is not accepted (HTTP ${response.status})`, "check OPENAI_API_KEY.");
    }
    if (!response.ok)
      return warn("model", `${address} answers HTTP ${response.status}`, "check OPENAI_BASE_URL.");
    return text.includes(JSON.stringify(wanted))
      ? ok("model", `${wanted} is there`)
      : warn("model", `the key works, but ${wanted} is not listed`, "check PARLEY_MODEL.");
  } catch (error) {
    return fail(
      "model",
      `${address} cannot be reached: ${errorLine(error)}`,
      "check OPENAI_BASE_URL and the network.",
    );
  }
}

const consoleFile = fileURLToPath(new URL("../console/dist/index.html", import.meta.url));

async function checkConsole(): Promise<Check> {
  try {
    await access(consoleFile);
    return ok("console", "built");
  } catch {
    return ok("console", "not built yet: the next start builds it, or run npm run build:console");
  }
}

async function checkPort({ listen }: Config): Promise<Check> {
  const place = `${listen.host} port ${listen.port}`;
  const problem = await portProblem(listen);
  if (problem === null) return ok("port", `${place} is free`);
  if (await isParley(listen)) return ok("port", `${place}: a Parley is running`);
  return fail("port", problem.problem, problem.fix);
}
