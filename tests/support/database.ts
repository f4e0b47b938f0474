/**
 * A migrated Postgres database of its own for each test file: `const db = await testDatabase()`, and `db.close()` at the end.
 * All files of one run share one cluster (cluster-host.ts), which the first of them starts and the run's end stops.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import pg from "pg";
import { type Database, openDatabase } from "../../store/postgres.ts";
import { clusterUrl, templateName } from "./cluster-place.ts";

const startTimeoutMs = 45_000;

export interface TestDatabase {
  /** For whatever opens connections of its own, a child process included. */
  readonly url: string;
  readonly database: Database;
  close(): Promise<void>;
}

/** @param options `migrated: false` gives an empty database. */
export async function testDatabase(options: { migrated?: boolean } = {}): Promise<TestDatabase> {
  const folder = await sharedCluster();
  const name = `t${randomBytes(8).toString("hex")}`;
  const template = options.migrated === false ? "template1" : templateName;
  await administer(folder, `create database ${name} template ${template}`);
  const url = clusterUrl(folder, name);
  const database = openDatabase({ url });
  return {
    url,
    database,
    async close() {
      await database.close();
      await administer(folder, `drop database ${name} with (force)`);
    },
  };
}

async function sharedCluster(): Promise<string> {
  // The process that lives as long as the run: the workers' parent, or this one when workers are threads.
  const runPid = isMainThread ? process.ppid : process.pid;
  const folder = join(tmpdir(), `parley-tests-${runPid}`);
  if (madeFolder(folder)) {
    const host = fileURLToPath(new URL("./cluster-host.ts", import.meta.url));
    spawn(process.execPath, [host, String(runPid), folder], { detached: true, stdio: "ignore" }).unref();
  }
  const deadlineMs = Date.now() + startTimeoutMs;
  while (!existsSync(join(folder, "ready"))) {
    const failed = join(folder, "failed");
    if (existsSync(failed)) throw new Error(`no Postgres for the tests: ${readFileSync(failed, "utf8")}`);
    if (Date.now() > deadlineMs) throw new Error("no Postgres for the tests within the time");
    await sleep(50);
  }
  return folder;
}

/** Whoever makes the folder starts the cluster. */
function madeFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
    return true;
  } catch {
    return false;
  }
}

async function administer(folder: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: clusterUrl(folder, "postgres") });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
