/** A real redis-server on a free port, its files in a temp folder; it can be stopped, killed and started again. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Requirement } from "./suite.ts";

export const redisServer: Requirement = {
  name: "redis-server",
  available: spawnSync("redis-server", ["--version"]).status === 0,
  install: "apt-get install redis-server (or brew install redis)",
};

export interface TempRedis {
  readonly url: string;
  /** Starts it again on the same port and folder; resolves when it answers. */
  start(): Promise<void>;
  /** Stops it as a service manager would. */
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Freezes or thaws it: connected, but silent. */
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  flush(): Promise<void>;
  command(name: string, ...parameters: string[]): Promise<unknown>;
  /** Stops it and removes its folder. */
  close(): Promise<void>;
}

/** Keeps nothing over a restart, unless `appendOnly` (AOF, written each second). */
export async function startTempRedis(options: { appendOnly?: boolean } = {}): Promise<TempRedis> {
  const folder = await mkdtemp(join(tmpdir(), "parley-redis-"));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
  settings.push("--appendonly", options.appendOnly ? "yes" : "no", "--appendfsync", "everysec");
  let server: ChildProcess | undefined;

  async function start(): Promise<void> {
    server = spawn("redis-server", settings, { stdio: "ignore" });
    await untilAnswers(url, server);
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = server;
    server = undefined;
    if (!ending || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.once("exit", resolve));
    ending.kill(signal);
    await ended;
  }
  const command = (name: string, ...parameters: string[]) =>
    once(url, (redis) => redis.call(name, ...parameters));

  await start();
  return {
    url,
    start,
    command,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    signal: (name) => void server?.kill(name),
    flush: async () => void (await command("FLUSHALL")),
    close: async () => {
      server?.kill("SIGCONT");
      await end("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function once<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on("error", () => {});
  try {
    await redis.connect();
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

async function untilAnswers(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      await once(url, (redis) => redis.ping());
      return;
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
