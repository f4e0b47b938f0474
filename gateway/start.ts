/**
 * Starts Parley in this process: the composition root. One role serves HTTP, one works, `all` does both. Everything that
 * keeps it from starting is told at once, and then nothing stays behind; once it runs, it can be killed at any instant.
 */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { channels } from "../channels/registry.ts";
import { hears } from "../core/access.ts";
import { errorLine } from "../core/errors.ts";
import { routeThread } from "../core/routing.ts";
import { approvals } from "../store/approvals.ts";
import { listing } from "../store/listing.ts";
import { threadLog } from "../store/log.ts";
import { outbox } from "../store/outbox.ts";
import { sweep } from "../store/sweep.ts";
import { type Tokens, tokens } from "../store/tokens.ts";
import { checkEdit } from "./check-edit.ts";
import { type Config, type Role, StartError } from "./config/index.ts";
import { consoleFolder, ensureConsole } from "./console-build.ts";
import { Closers, type Foundation, layFoundation } from "./foundation.ts";
import { createHttp } from "./http/server.ts";
import { clock, ids } from "./ids.ts";
import { createIngest } from "./ingest.ts";
import { openLogger } from "./logger.ts";
import { type Metrics, openMetrics } from "./metrics.ts";
import { type Models, openModels } from "./models.ts";
import { openPeople } from "./people.ts";
import { listenProblem, preflight } from "./preflight.ts";
import { promptFor } from "./prompt-for.ts";
import { statusView } from "./status.ts";
import { startWorker } from "./worker.ts";

export interface StartOptions {
  config: Config;
  role: Role;
  /** For the few lines that a person in the terminal reads. */
  print: (line: string) => void;
}

export interface Parley {
  /** Where the console and the API are; null for a worker. */
  readonly url: string | null;
  /** Finishes or releases what is under way, then closes everything. Safe to repeat. */
  stop(): Promise<void>;
  /** Rejects when Parley cannot go on by itself: the embedded database died. */
  readonly finished: Promise<void>;
}

/** Of the ten seconds that a stop may take, what running work gets to finish. */
const workGraceMs = 7_000;
const httpGraceMs = 1_500;
/** How long a thread stays with a worker that says nothing. Twice this is what a kill costs at most. */
const leaseTtlMs = 8_000;
const concurrency = 32;

/** @throws {StartError} with everything that is in the way. */
export async function startParley({ config, role, print }: StartOptions): Promise<Parley> {
  const { log, flush } = openLogger(logLevel(config, role), role);
  const closers = new Closers();
  const close = once(async () => {
    await closers.close(log);
    flush();
  });
  try {
    await requireFree(config, role);
    const consoleReady = role === "worker" ? null : ensureConsole(print, log, config.commandEnv);
    const foundation = await layFoundation(config, log);
    closers.add(() => foundation.close());
    const models = await openModels(config.model, foundation.agents);
    const metrics = openMetrics(() => foundation.queue.depth());
    const owner = ids.next();
    if (role !== "gateway") closers.add(openWorker(foundation, models, metrics, owner));
    const url = role === "worker" ? null : await openGateway({ foundation, models, metrics, closers, print });
    await consoleReady;
    log("info", "started", { url, owner, model: models.primary.name, agents: [...foundation.agents.keys()] });
    if (url === null) print(`Parley's worker runs with the model ${modelName(models)}.`);
    else print(await welcome(foundation, url, models));
    const finished = foundation.databaseDied.then((lines) => {
      throw new Error(`the embedded database ended: ${lines}`);
    });
    return { url, stop: close, finished };
  } catch (error) {
    await close();
    throw error;
  }
}

/** In a terminal the one line with the address is not to drown in JSON; a service's log has everything. */
const logLevel = ({ logs }: Config, role: Role): Config["logs"]["level"] =>
  role === "all" && process.stderr.isTTY && logs.level === "info" ? "warn" : logs.level;

const modelName = ({ primary }: Models): string => (primary.offline ? `"${primary.name}"` : primary.name);

async function requireFree(config: Config, role: Role): Promise<void> {
  const problems = await preflight({
    listen: role === "worker" ? null : config.listen,
    dataDir: config.databaseUrl === null ? config.dataDir : null,
  });
  if (problems.length > 0) throw new StartError(problems);
}

/**
 * Gives the function that stops the worker.
 * @param owner the name under which it takes leases, unique for each start.
 */
function openWorker(
  foundation: Foundation,
  models: Models,
  metrics: Metrics,
  owner: string,
): () => Promise<void> {
  const { config, database, queue, live, log, agents, prompts } = foundation;
  const { maxAttempts, firstRetryMs, longestRetryMs } = config.delivery;
  const worker = startWorker({
    concurrency,
    queue,
    sweep: sweep(database),
    delivery: {
      outbox: outbox(database),
      channels: new Map(channels.map((channel) => [channel.name, channel])),
      doorbell: queue.doorbell,
      ids,
      logger: log,
      maxAttempts,
      firstRetryMs,
      longestRetryMs,
      sendTimeoutMs: 20_000,
      observe: metrics.delivery,
    },
    loop: {
      ...models,
      prompts,
      live,
      ids,
      clock,
      agents,
      log: threadLog(database),
      doorbell: queue.doorbell,
      policies: new Map(Object.entries(config.policies)),
      budgets: config.budgets,
      owner,
      leaseTtlMs,
      logger: log,
      observe: metrics.loop,
    },
  });
  return () => worker.stop(workGraceMs);
}

interface GatewayParts {
  foundation: Foundation;
  models: Models;
  metrics: Metrics;
  closers: Closers;
  print: (line: string) => void;
}

async function openGateway({ foundation, models, metrics, closers }: GatewayParts): Promise<string> {
  const { config, database, queue, live, log, agents, prompts } = foundation;
  const threads = threadLog(database);
  const lists = listing(database);
  const people = openPeople(config.people);
  const gate: Parameters<typeof createIngest>[0]["gate"] = (kind, sender, binding) =>
    hears(config.access, kind, people.recognize(sender), binding);
  const ingest = createIngest({
    log: threads,
    doorbell: queue.doorbell,
    live,
    ids,
    gate,
    recognize: people.recognize,
    route: (facts) => routeThread(config.routing, facts),
    limits: config.limits,
    metrics,
    logger: log,
  });
  const http = createHttp({
    log: threads,
    database,
    approvals: approvals(database),
    outbox: outbox(database),
    tokens: tokens(database, ids),
    listing: lists,
    ingest,
    doorbell: queue.doorbell,
    live,
    ids,
    clock,
    gate,
    agents: {
      names: () => [...agents.values()].map(({ name, description }) => ({ name, description })),
      checkEdit: (approval, args) => checkEdit(agents, approval, args),
    },
    people: { rolesOf: (person) => [...people.rolesOf(person)], nameOf: people.nameOf },
    status: () => statusView(foundation, models.primary, channels),
    promptFor: (threadId, stepId) => promptFor({ listing: lists, agents, prompts }, threadId, stepId),
    metrics: { contentType: metrics.contentType, text: metrics.text, hooks: metrics.http },
    limits: config.limits,
    publicUrl: config.publicUrl,
    consoleFolder,
    logger: log,
    webhooks: channels
      .filter(({ ingress }) => ingress.kind === "webhook")
      .map((channel) => ({ channel, accept: ingest.accept })),
  });
  const listener = await http.listen(config.listen).catch((error: NodeJS.ErrnoException) => {
    throw new StartError([listenProblem(config.listen, error.code ?? errorLine(error))]);
  });
  closers.add(() => listener.close(httpGraceMs));
  return listener.url;
}

/** The one line that a person needs: where it is, and how to get in. */
async function welcome({ config, database, log }: Foundation, url: string, models: Models): Promise<string> {
  const place = config.publicUrl ?? url;
  const note = models.primary.offline
    ? ` The agents run on the offline stand-in until a model is configured.`
    : "";
  return `Parley is at ${place} - ${await howToSignIn(config, tokens(database, ids), place).catch(
    (error: unknown) => {
      log("error", "admin_token_file_failed", { error: errorLine(error) });
      return "sign in with the admin token";
    },
  )}.${note}`;
}

async function howToSignIn(config: Config, known: Tokens, place: string): Promise<string> {
  const file = join(config.dataDir, "admin-token");
  const configured = config.adminToken?.reveal();
  if (configured !== undefined) {
    await known.ensureAdminToken({ configured });
    return "sign in with your PARLEY_ADMIN_TOKEN";
  }
  const kept = await readFile(file, "utf8").then(
    (text) => text.trim(),
    () => null,
  );
  const valid = kept !== null && (await known.find(kept)) !== null;
  // On a database of its own a lost token file is replaced; one that others share keeps the token they know.
  const made = await known.ensureAdminToken({ replace: !valid && config.databaseUrl === null });
  if (made === null) {
    return valid
      ? `sign in with the token in ${file}`
      : "sign in with the admin token, or set PARLEY_ADMIN_TOKEN";
  }
  await writeFile(file, `${made}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
  return `open ${place}/#token=${made} to sign in (the token is also in ${file})`;
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => {
    done ??= work();
    return done;
  };
}
