/** A worker of the real parts on a database and a queue of its own, and the temporary servers under them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent } from "../agents/agent.ts";
import { openCircuit } from "../agents/model/circuit.ts";
import type { Channel, Delivery } from "../channels/channel.ts";
import type { Policy } from "../core/approval.ts";
import type { Model, ThreadLog } from "../core/ports.ts";
import { clock, ids } from "../gateway/ids.ts";
import { startWorker, type Worker } from "../gateway/worker.ts";
import { memoryLive, type OpenLive } from "../queue/live.ts";
import { postgresLive } from "../queue/live-postgres.ts";
import { redisLive } from "../queue/live-redis.ts";
import { openQueue, type Queue } from "../queue/queue.ts";
import { startEmbeddedPostgres } from "../store/embedded/server.ts";
import { threadLog } from "../store/log.ts";
import { outbox } from "../store/outbox.ts";
import { type Database, migrate, openDatabase } from "../store/postgres.ts";
import { sweep } from "../store/sweep.ts";
import { prompts, quiet } from "./cast.ts";

/** Where the record and the queue are. `redisUrl` null: the queue is in Postgres, too. */
export interface Servers {
  url: string;
  redisUrl: string | null;
}

export interface Foundation {
  database: Database;
  queue: Queue;
  log: ThreadLog;
  live: OpenLive;
  close(): Promise<void>;
}

export interface FoundationOptions extends Servers {
  /** Live signals go through the servers, as they do between processes. */
  alone: boolean;
  maxConnections?: number;
  wrap?: (database: Database) => Database;
}

export async function openFoundation(options: FoundationOptions): Promise<Foundation> {
  const { url, redisUrl, alone, maxConnections, wrap = (database) => database } = options;
  const database = wrap(openDatabase({ url, ...(maxConnections === undefined ? {} : { maxConnections }) }));
  const queue = await openQueue(
    redisUrl === null ? { kind: "postgres", url } : { kind: "redis", url: redisUrl },
    { log: quiet },
  );
  const between = () => (redisUrl === null ? postgresLive(url, quiet) : redisLive(redisUrl, quiet));
  const live = alone ? memoryLive(quiet) : between();
  return {
    database,
    queue,
    live,
    log: threadLog(database),
    async close() {
      await live.close();
      await queue.close();
      await database.close();
    },
  };
}

export interface Cast {
  agent: Agent;
  model: Model;
  policies?: ReadonlyMap<string, Policy>;
  /** The platform has it once this resolves. */
  onSend?: (delivery: Delivery) => Promise<void>;
}

const leaseTtlMs = 8_000;

/** The worker as gateway/start.ts composes it, with the cast in place of the real agents, model and platforms. */
export function startBenchWorker({ database, queue, live, log }: Foundation, cast: Cast): Worker {
  const channel: Channel = {
    name: "bench",
    ingress: { kind: "api" },
    maxSendsPerSecond: Number.POSITIVE_INFINITY,
    sendIsIdempotent: true,
    async send(delivery) {
      await cast.onSend?.(delivery);
      return { platformId: delivery.id };
    },
    find: async () => "absent",
  };
  return startWorker({
    concurrency: 32,
    queue,
    sweep: sweep(database),
    delivery: {
      outbox: outbox(database),
      channels: new Map([[channel.name, channel]]),
      doorbell: queue.doorbell,
      ids,
      logger: quiet,
      maxAttempts: 5,
      firstRetryMs: 1_000,
      longestRetryMs: 60_000,
      sendTimeoutMs: 10_000,
      observe: () => {},
    },
    loop: {
      prompts,
      primary: cast.model,
      backup: null,
      circuit: openCircuit(),
      costUsd: async () => 0,
      live,
      ids,
      clock,
      log,
      doorbell: queue.doorbell,
      agents: new Map([[cast.agent.name, cast.agent]]),
      policies: cast.policies ?? new Map(),
      budgets: {},
      owner: ids.next(),
      leaseTtlMs,
      logger: quiet,
      observe: () => {},
    },
  });
}

/** A migrated embedded database in a temporary folder, durable as in production. */
export async function tempDatabase(): Promise<{ url: string; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "parley-bench-"));
  const server = await startEmbeddedPostgres({ folder: join(folder, "postgres") });
  await migrate(server.url);
  return {
    url: server.url,
    async close() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
