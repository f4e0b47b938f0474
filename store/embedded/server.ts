/**
 * The embedded Postgres: a real server for people who have none. It belongs to this process: it ends when this process
 * ends, in whatever way, and committed rows survive that. See guard.ts for how, leftovers.ts for what a start cleans up.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Log } from "../../core/ports.ts";
import { findBinaries } from "./binaries.ts";
import { ensureCluster, placeIn, superuser, type Workshop } from "./cluster.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { type Guarded, startGuarded } from "./guard.ts";
import { chooseIdentity, type Probe } from "./identity.ts";
import { type FolderHold, holdFolder } from "./instance-lock.ts";
import { type ClusterPlace, removeStalePidFile, stopLeftovers } from "./leftovers.ts";
import { openServerLog, type ServerLog } from "./server-log.ts";
import { serverSettings } from "./settings.ts";

const database = "parley";
const readyWithinMs = 60_000;
const portAttempts = 5;

export interface EmbeddedPostgresOptions {
  /** For the cluster and all that belongs to it; made with mode 0700. */
  readonly folder: string;
  readonly log?: Log;
  /** Tests replace it to see what happens where root finds no way. */
  readonly probe?: Probe;
}

export interface EmbeddedPostgres {
  /** With the password: never log it. */
  readonly url: string;
  /** The postmaster's. */
  readonly pid: number;
  /** Shuts down within about 15 s, in order when that is possible, and lets go of the folder. May be called again. */
  stop(): Promise<void>;
  /** Resolves when the server has ended; `expected` when `stop` asked for it. Never rejects. */
  readonly exited: Promise<{ expected: boolean; code: number | null; lastLines: string }>;
}

/**
 * Starts the server on a free port of 127.0.0.1, after making its cluster and database where there is none yet, and
 * after clearing away what a killed instance left. Takes about 1 s the first time, 0.3 s later.
 * @throws {FolderHeldError} when a live process has the folder.
 * @throws {EmbeddedPostgresError} when it cannot be started; the message has the reason and the way out.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {});
  const binaries = await findBinaries();
  const hold = await holdFolder(resolve(options.folder), log);
  let serverLog: ServerLog | undefined;
  try {
    const place = await placeIn(options.folder);
    await stopLeftovers(place, log);
    const chosen = await chooseIdentity(place.folder, binaries, log, options.probe);
    serverLog = await openServerLog(place.folder);
    const workshop = { place, binaries, chosen, serverLog };
    const password = await ensureCluster(workshop);
    await removeStalePidFile(place, log);
    return await serve({ workshop, password, hold, log });
  } catch (error) {
    await serverLog?.close();
    await hold.release();
    throw error;
  }
}

interface Serving {
  readonly workshop: Workshop;
  readonly password: string;
  readonly hold: FolderHold;
  readonly log: Log;
}

async function serve(serving: Serving): Promise<EmbeddedPostgres> {
  const { place, serverLog } = serving.workshop;
  const { guard, pid, port } = await launch(serving.workshop);
  const url = urlOf(serving.password, port, database);
  try {
    await createDatabase(urlOf(serving.password, port, "postgres"));
  } catch (cause) {
    await endServer(guard, pid);
    const lines = await serverLog.tail();
    throw failed(`The embedded Postgres started but does not answer. Its last words:\n${lines}`, cause);
  }
  serving.log("info", "postgres_started", { pid, port, folder: place.folder });
  return makeHandle(serving, guard, { url, pid });
}

function makeHandle(
  serving: Serving,
  guard: Guarded,
  { url, pid }: { url: string; pid: number },
): EmbeddedPostgres {
  const { serverLog, place } = serving.workshop;
  let stopping: Promise<void> | undefined;
  const exited = guard.exited.then(async (code) => {
    const expected = stopping !== undefined;
    const lastLines = await serverLog.tail().catch(() => "");
    if (expected) serving.log("info", "postgres_stopped", { pid, code, folder: place.folder });
    else serving.log("error", "postgres_died", { pid, code, folder: place.folder });
    return { expected, code, lastLines };
  });
  const stop = async () => {
    await endServer(guard, pid);
    await exited;
    await serverLog.close();
    await serving.hold.release();
  };
  return {
    url,
    pid,
    exited,
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** The guard outlives the server, so until it exits the pid is the server's and nobody else's. */
async function endServer(guard: Guarded, pid: number): Promise<void> {
  guard.ref();
  guard.end();
  for (const [signal, afterMs] of [["SIGQUIT", 10_000] as const, ["SIGKILL", 3_000] as const]) {
    const ended = await Promise.race([guard.exited.then(() => true), sleep(afterMs, false, { ref: false })]);
    if (ended) return;
    try {
      process.kill(pid, signal);
    } catch {} // It ended just now.
  }
  await guard.exited;
}

/** Postgres wants a port number, and between finding a free one and using it another program may take it. */
async function launch(workshop: Workshop): Promise<{ guard: Guarded; pid: number; port: number }> {
  const { place, binaries, chosen, serverLog } = workshop;
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const guard = startGuarded({
      identity: chosen.identity,
      command: [binaries.postgres, "-D", place.cluster, ...serverSettings(port, place.tag)],
      cwd: place.folder,
      logFd: serverLog.fd,
    });
    guard.ref();
    const pid = await waitUntilReady(place, port, guard);
    if (pid !== undefined) return { guard, pid, port };
    if (attempt < portAttempts && (await isTaken(port))) continue;
    throw failed(`The embedded Postgres did not start. Its last words:\n${await serverLog.tail()}`);
  }
}

/** postmaster.pid: line 1 is the pid, 4 the port, 8 the state (pg_ctl waits by the same lines). */
async function waitUntilReady(
  place: ClusterPlace,
  port: number,
  guard: Guarded,
): Promise<number | undefined> {
  let ended = false;
  void guard.exited.then(() => {
    ended = true;
  });
  const deadlineMs = performance.now() + readyWithinMs;
  while (!ended && performance.now() < deadlineMs) {
    const text = await readFile(join(place.cluster, "postmaster.pid"), "utf8").catch(() => "");
    const lines = text.split("\n").map((line) => line.trim());
    if (Number(lines[3]) === port && lines[7] === "ready") return Number(lines[0]);
    await sleep(20);
  }
  guard.end();
  await guard.exited;
  return undefined;
}

async function createDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {}); // A connection lost between two queries fails the next one, which reports it.
  try {
    await client.connect();
    const { rowCount } = await client.query("select from pg_database where datname = $1", [database]);
    if (rowCount === 0) await client.query(`create database ${database}`);
  } finally {
    await client.end();
  }
}

function urlOf(password: string, port: number, name: string): string {
  return `postgresql://${superuser}:${password}@127.0.0.1:${port}/${name}`;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done, fail) => probe.once("error", fail).listen(0, "127.0.0.1", done));
  const address = probe.address();
  await new Promise((done) => probe.close(done));
  if (address === null || typeof address === "string") throw failed("The system gave no port on 127.0.0.1.");
  return address.port;
}

async function isTaken(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((done) => {
    probe.once("error", () => done(true));
    probe.listen(port, "127.0.0.1", () => probe.close(() => done(false)));
  });
}

function failed(message: string, cause?: unknown): EmbeddedPostgresError {
  return new EmbeddedPostgresError(message, { operation: "start embedded Postgres", cause });
}
