/**
 * What BullMQ needs from a server, Redis or Postgres. A job carries one id and nothing else; after a crash, or the
 * loss of the whole queue, the sweeper rings again for everything that is still to do.
 */
import type { JobsOptions } from "bullmq";
import { z } from "zod";

export const bellKinds = ["threads", "deliveries", "timers"] as const;
export type BellKind = (typeof bellKinds)[number];

/** All that a job carries. Parsed when it arrives: a job may have been written by another version. */
export const ringSchema = z.object({ id: z.string().min(1).max(200) });
export type Ring = z.infer<typeof ringSchema>;

/** The producing side of one queue, as far as a doorbell needs it. */
export interface RingQueue {
  add(name: string, ring: Ring, options: JobsOptions): Promise<unknown>;
  getJobCounts(...states: ("waiting" | "active")[]): Promise<Record<string, number>>;
  getJobs(state: "waiting", start: number, end: number, ascending: boolean): Promise<{ timestamp: number }[]>;
  close(): Promise<void>;
}

/** The consuming side of one queue. `close` takes no further job and waits for the current ones. */
export interface RingWorker {
  close(): Promise<void>;
}

export interface Backend {
  /** False when a ring has no chance now: it then fails at once instead of waiting for its limit. */
  reachable(): boolean;
  queue(kind: BellKind): RingQueue;
  worker(kind: BellKind, hear: (job: { data: unknown }) => Promise<void>, concurrency: number): RingWorker;
  /** Ends every connection, gracefully or not; bounded. */
  close(): Promise<void>;
}

/**
 * Measured: the stalled check has to be short for a killed worker's threads to be heard again within seconds, and the
 * stall count high, or the second stall of a long-lived job would fail it for good. `runRetryDelay` is BullMQ's pause
 * after a lost connection; its own 15 s would keep threads waiting long after the server is back.
 */
export const workerTiming = {
  lockDuration: 10_000,
  stalledInterval: 5_000,
  maxStalledCount: 1_000_000,
  runRetryDelay: 1_000,
  drainDelay: 5,
};

/** BullMQ writes down what happens to each job, 10,000 entries a queue; nobody here reads them. */
export const queueTrail = { streams: { events: { maxLen: 100 } } };
