/**
 * BullMQ on Redis, five connections a process: one to ring, one shared by the workers, one blocking for each worker.
 * After a crash BullMQ's stalled check gives a dead worker's jobs to another; when Redis itself is lost, the sweeper
 * rings again.
 */
import { Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { errorLine } from "../core/errors.ts";
import { type Backend, queueTrail, type Ring, workerTiming } from "./backend.ts";
import { type Log, sparingly } from "./log.ts";
import {
  firstAttempt,
  patientOptions,
  promptOptions,
  TrackedRedis,
  tellOfOutages,
} from "./redis-connection.ts";

const FIRST_ATTEMPT_LIMIT_MS = 2_000;

/** Does not need Redis to be up: without it rings fail at once, and workers start to hear when it appears. */
export async function openRedisBackend(url: string, prefix: string, log: Log): Promise<Backend> {
  const ringing = new TrackedRedis(url, promptOptions);
  let working: TrackedRedis | undefined;
  const sparing = sparingly(log);
  const tell = (error: Error): void => sparing("warn", "queue.error", { error: errorLine(error) });
  tellOfOutages(ringing, log, "redis");
  ringing.on("ready", () => void warnOfEviction(ringing, log));
  await firstAttempt(ringing, FIRST_ATTEMPT_LIMIT_MS);

  return {
    reachable: () => ringing.status === "ready",
    queue: (kind) => {
      const options = { connection: ringing, prefix, skipVersionCheck: true, ...queueTrail };
      return new Queue<Ring>(kind, options).on("error", tell);
    },
    worker: (kind, hear, concurrency) => {
      working ??= connectWorkers(url);
      // Without its version check BullMQ takes Redis for an old one and waits in whole seconds: delayed rings come late.
      const options = { ...workerTiming, connection: working, prefix, concurrency };
      return new Worker(kind, hear, options).on("error", tell);
    },
    close: async () => {
      ringing.endAll();
      working?.endAll();
    },
  };
}

/** The ringing connection already tells of outages; this one only has to swallow the same errors. */
function connectWorkers(url: string): TrackedRedis {
  return new TrackedRedis(url, patientOptions).on("error", () => undefined);
}

/** With another policy than `noeviction` Redis throws jobs away when memory is short. */
async function warnOfEviction(redis: Redis, log: Log): Promise<void> {
  try {
    const policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info("memory"))?.[1];
    if (policy !== undefined && policy !== "noeviction") {
      log("warn", "queue.redis_evicts", { policy, wanted: "maxmemory-policy noeviction" });
    }
  } catch (error) {
    log("debug", "queue.redis_policy_unknown", { error: errorLine(error) });
  }
}
