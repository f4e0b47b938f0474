/**
 * Connections to Redis that come back for ever. Nothing is kept in them that a crash could lose: what was being
 * written when Redis went away fails at once, and the sweeper rings again.
 */
import { Redis, type RedisOptions } from "ioredis";
import { errorLine } from "../core/errors.ts";
import { backoffMs, settlesWithin } from "./bounded.ts";
import { type Log, sparingly } from "./log.ts";

type PlainOptions = Omit<RedisOptions, "replyMapping">;

const common: PlainOptions = {
  retryStrategy: (attempt) => backoffMs(attempt, 50, 2_000),
  keepAlive: 10_000,
  connectTimeout: 5_000,
};

/** For short commands that must succeed or fail now. `socketTimeout` drops a server that has stopped answering. */
export const promptOptions: PlainOptions = {
  ...common,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  socketTimeout: 5_000,
};

/** For BullMQ's workers, whose commands wait until Redis is back (BullMQ requires `maxRetriesPerRequest: null`). */
export const patientOptions: PlainOptions = { ...common, maxRetriesPerRequest: null };

/** BullMQ duplicates a worker's connection for its blocking reads and keeps the copy to itself; we must be able to end it. */
export class TrackedRedis extends Redis {
  readonly #copies: Redis[] = [];

  override duplicate(options?: Partial<RedisOptions>): Redis {
    const copy = super.duplicate(options);
    this.#copies.push(copy);
    return copy;
  }

  /** Ends this connection and every copy, without waiting for what is in flight. */
  endAll(): void {
    for (const connection of [...this.#copies, this]) connection.disconnect();
  }
}

/** Logs losing and finding Redis at a bounded rate; also keeps ioredis from writing to the console itself. */
export function tellOfOutages(redis: Redis, log: Log, subject: string): void {
  const sparing = sparingly(log);
  let lost = false;
  redis.on("error", (error: Error) => {
    lost = true;
    sparing("warn", "queue.unreachable", { subject, error: errorLine(error) });
  });
  redis.on("ready", () => {
    if (lost) log("info", "queue.reachable", { subject });
    lost = false;
  });
}

/** Resolves when the first attempt to connect has succeeded or failed, at the latest after `limitMs`. Never rejects. */
export async function firstAttempt(redis: Redis, limitMs: number): Promise<void> {
  if (redis.status === "ready") return;
  let settle = (): void => undefined;
  const tried = new Promise<void>((resolve) => {
    settle = resolve;
  });
  redis.once("ready", settle);
  redis.once("error", settle);
  await settlesWithin(tried, limitMs);
  redis.off("ready", settle);
  redis.off("error", settle);
}
