/**
 * The newest Postgres that the system's packages installed, as a second kind of database for the store's suite: a cluster
 * in a temp folder, reached through a Unix socket only. As root, where Postgres refuses to run, in a user namespace.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { clusterUrl } from "./cluster-place.ts";
import type { Requirement } from "./suite.ts";

const packages = "/usr/lib/postgresql";
const startTimeoutMs = 30_000;

const versions = existsSync(packages)
  ? readdirSync(packages).filter((version) => existsSync(join(packages, version, "bin", "postgres")))
  : [];
const newest = versions.sort((a, b) => Number(b) - Number(a))[0];

export const systemPostgres: Requirement = {
  name: "a system Postgres",
  available: newest !== undefined,
  install: "apt-get install postgresql",
};

export async function startSystemPostgres(): Promise<{ url: string; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "parley-pg-"));
  const cluster = join(folder, "cluster");
  const init = command("initdb", [
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
  const settings = ["listen_addresses=", "fsync=off", "max_connections=200", "jit=off"].flatMap((one) => [
    "-c",
    one,
  ]);
  const run = command("postgres", ["-D", cluster, "-k", folder, ...settings]);
  const server = spawn(run.file, run.args, { stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const close = async (): Promise<void> => {
    server.kill("SIGQUIT");
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const url = clusterUrl(folder, "postgres");
  for (const deadlineMs = Date.now() + startTimeoutMs; !(await answers(url)); await sleep(50)) {
    if (server.exitCode === null && Date.now() < deadlineMs) continue;
    await close();
    throw new Error("the system's Postgres did not start");
  }
  return { url, close };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

function command(name: string, args: string[]): { file: string; args: string[] } {
  const file = join(packages, newest ?? "", "bin", name);
  if (process.getuid?.() !== 0) return { file, args };
  return { file: "unshare", args: ["--user", "--map-user=65534", "--map-group=65534", "--", file, ...args] };
}
