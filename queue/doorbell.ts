/**
 * Rings, and never holds up whoever rings: a ring takes at most half a second and never fails for the caller. One that
 * is lost, in a crash or because the queue is down, is made up for by the sweeper.
 */
import type { JobsOptions } from "bullmq";
import { errorLine, ParleyError } from "../core/errors.ts";
import type { Doorbell } from "../core/ports.ts";
import type { Backend, BellKind, RingQueue } from "./backend.ts";
import { within } from "./bounded.ts";
import { type Log, sparingly } from "./log.ts";

const RING_LIMIT_MS = 500;

/** Later rings of one id share a job when they fall due in the same slot; they are heard at its end, never too early. */
const SLOT_MS = 250;

export interface RingCounts {
  rung: number;
  failed: number;
}

export function makeDoorbell(
  backend: Backend,
  queues: Record<BellKind, RingQueue>,
  log: Log,
): { doorbell: Doorbell; counts: () => RingCounts } {
  const counts: RingCounts = { rung: 0, failed: 0 };
  const sparing = sparingly(log);

  async function ring(kind: BellKind, id: string, delayMs: number, lost = false): Promise<void> {
    try {
      if (!backend.reachable()) {
        throw new ParleyError("not connected", {
          operation: "ring",
          publicText: "The queue is not reachable.",
        });
      }
      await within(
        queues[kind].add(
          "ring",
          { id },
          ringOptions(lost ? lostId(id, Date.now()) : id, delayMs, Date.now()),
        ),
        RING_LIMIT_MS,
        "ring",
      );
      counts.rung += 1;
    } catch (error) {
      counts.failed += 1;
      sparing("warn", "queue.ring_failed", { kind, id, error: errorLine(error) });
    }
  }

  return {
    doorbell: {
      ringThread: (threadId, lost) => ring("threads", threadId, 0, lost),
      ringDelivery: (threadId, delayMs = 0, lost = false) => ring("deliveries", threadId, delayMs, lost),
      ringTimer: (timerId, delayMs, lost) => ring("timers", timerId, delayMs, lost),
    },
    counts: () => ({ ...counts }),
  };
}

/** Rings for lost work share a job within this time; later ones get past the job of yet another worker that was killed. */
const LOST_SLOT_MS = 4_000;

const lostId = (id: string, nowMs: number): string => `${id}@lost${Math.floor(nowMs / LOST_SLOT_MS)}`;

/**
 * Many rings of one id are one job, and a ring during its handler is one more job after it (`keepLastIfActive`; any
 * other dedupe loses that ring). A job that waits for its time must not swallow a ring for now, nor one for another
 * time, so its dedupe id carries its slot. Nor may the job of a worker that was killed swallow the ring that is to bring
 * another worker: it counts as running until BullMQ finds it stalled, so a ring for lost work has a dedupe id of its own.
 */
export function ringOptions(id: string, delayMs: number, nowMs: number): JobsOptions {
  const common = { removeOnComplete: true, removeOnFail: true, attempts: 1 };
  if (!(delayMs > 0)) return { ...common, deduplication: { id, keepLastIfActive: true } };
  const slot = Math.ceil((nowMs + delayMs) / SLOT_MS);
  return {
    ...common,
    delay: slot * SLOT_MS - nowMs,
    deduplication: { id: `${id}@${slot}`, keepLastIfActive: true },
  };
}
