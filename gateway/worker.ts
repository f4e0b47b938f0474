/**
 * The worker's side of a process: hears bells and works on threads, deliveries and timers, and sweeps for what nobody
 * rang for. It holds nothing: kill it at any instant, and another worker or the next start goes on from the database.
 */

import { runThread } from "../agents/runtime/loop.ts";
import type { LoopParts } from "../agents/runtime/parts.ts";
import type { Queue } from "../queue/queue.ts";
import { startSweeper } from "../queue/sweeper.ts";
import type { Sweep } from "../store/sweep.ts";
import { type DeliveryParts, deliverer } from "./deliver.ts";
import { nearDelivery } from "./near-delivery.ts";

export interface WorkerParts {
  loop: LoopParts;
  delivery: DeliveryParts;
  queue: Queue;
  sweep: Sweep;
  /** How many threads, deliveries and timers are worked on at once. */
  concurrency: number;
}

export interface Worker {
  /** Finishes or releases what is under way within `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** Work that has waited so long without being taken has lost its bell. A bell takes milliseconds. */
const lostAfterMs = 1_000;

export function startWorker({ loop, delivery, queue, sweep, concurrency }: WorkerParts): Worker {
  const { deliverThread } = deliverer(delivery);
  const near = nearDelivery({
    deliverThread,
    doorbell: loop.doorbell,
    logger: loop.logger,
    most: concurrency,
  });
  const nearLoop = { ...loop, doorbell: near.doorbell };
  const consumer = queue.consume(
    {
      thread: (threadId, signal) => runThread(nearLoop, threadId, signal),
      delivery: deliverThread,
      timer: async (timerId) => {
        const threadId = await sweep.fireTimer(timerId);
        if (threadId !== null) await queue.doorbell.ringThread(threadId);
      },
    },
    concurrency,
  );
  const sweeper = startSweeper({
    source: {
      lostThreads: (limit) => sweep.lostThreads(lostAfterMs, limit),
      lostDeliveries: (limit) => sweep.lostDeliveries(lostAfterMs, limit),
      dueTimers: (limit) => sweep.dueTimers(limit),
    },
    doorbell: queue.doorbell,
    log: loop.logger,
  });
  return {
    async stop(graceMs) {
      await Promise.all([sweeper.stop(), consumer.close(graceMs), near.stop(graceMs)]);
    },
  };
}
