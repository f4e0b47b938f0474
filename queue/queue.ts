/**
 * The queue: bells for threads, deliveries and timers. The database is the record; a job is only a doorbell that
 * carries an id, so losing the whole queue, at any instant, loses no work.
 */
import type { Doorbell } from "../core/ports.ts";
import { type Backend, type BellKind, bellKinds, type RingQueue } from "./backend.ts";
import { settlesWithin, within } from "./bounded.ts";
import { type Consumer, type Handlers, startConsumer } from "./consumer.ts";
import { makeDoorbell, type RingCounts } from "./doorbell.ts";
import type { Log } from "./log.ts";
import { openPostgresBackend } from "./postgres-backend.ts";
import { openRedisBackend } from "./redis-backend.ts";

export type QueueServer = { kind: "redis"; url: string } | { kind: "postgres"; url: string; schema?: string };

export interface QueueDepth {
  waiting: number;
  active: number;
  /** Age of the oldest ring that nobody has heard yet; 0 when there is none. */
  oldestMs: number;
}

export interface Queue {
  readonly doorbell: Doorbell;
  /** Starts to hear; `concurrency` is how many ids of each kind are handled at once. */
  consume(handlers: Handlers, concurrency: number): Consumer;
  /** Over all three kinds. @throws {ParleyError} when the queue's server does not answer within 2 s. */
  depth(): Promise<QueueDepth>;
  /** Rings of this process since it started. */
  ringCounts(): RingCounts;
  /** Close the consumers first; one that is still open is closed without grace. Bounded, never rejects. */
  close(): Promise<void>;
}

const DEPTH_LIMIT_MS = 2_000;
const CLOSE_LIMIT_MS = 3_000;
const OLDEST_READ = 5;

/**
 * On Redis it opens whether or not Redis is up.
 * @throws {ParleyError} on Postgres, when the database cannot be reached or migrated.
 */
export async function openQueue(server: QueueServer, options: { log: Log; prefix?: string }): Promise<Queue> {
  const { log, prefix = "parley" } = options;
  const backend =
    server.kind === "redis"
      ? await openRedisBackend(server.url, prefix, log)
      : await openPostgresBackend({ url: server.url, schema: server.schema ?? "bullmq" }, prefix, log);
  const queues: Record<BellKind, RingQueue> = {
    threads: backend.queue("threads"),
    deliveries: backend.queue("deliveries"),
    timers: backend.queue("timers"),
  };
  const { doorbell, counts } = makeDoorbell(backend, queues, log);
  const consumers: Consumer[] = [];

  return {
    doorbell,
    consume: (handlers, concurrency) => {
      const consumer = startConsumer({ backend, doorbell, log }, handlers, concurrency);
      consumers.push(consumer);
      return consumer;
    },
    depth: () => within(measureDepth(queues), DEPTH_LIMIT_MS, "measure queue"),
    ringCounts: counts,
    close: () => closeAll(backend, queues, consumers),
  };
}

async function measureDepth(queues: Record<BellKind, RingQueue>): Promise<QueueDepth> {
  const depths = await Promise.all(bellKinds.map((kind) => measureOne(queues[kind])));
  return {
    waiting: depths.reduce((sum, depth) => sum + depth.waiting, 0),
    active: depths.reduce((sum, depth) => sum + depth.active, 0),
    oldestMs: Math.max(...depths.map((depth) => depth.oldestMs)),
  };
}

/** The queue lists newest first on both servers; a few of the last are read because some may be taken meanwhile. */
async function measureOne(queue: RingQueue): Promise<QueueDepth> {
  const { waiting = 0, active = 0 } = await queue.getJobCounts("waiting", "active");
  if (waiting === 0) return { waiting, active, oldestMs: 0 };
  const last = await queue.getJobs("waiting", Math.max(0, waiting - OLDEST_READ), waiting - 1, false);
  const now = Date.now();
  return { waiting, active, oldestMs: Math.max(0, ...last.map((job) => now - job.timestamp)) };
}

async function closeAll(
  backend: Backend,
  queues: Record<BellKind, RingQueue>,
  consumers: Consumer[],
): Promise<void> {
  await Promise.all(consumers.map((consumer) => consumer.close(0)));
  await settlesWithin(Promise.allSettled(bellKinds.map((kind) => queues[kind].close())), CLOSE_LIMIT_MS);
  await backend.close();
}
