/**
 * Hears the bells. BullMQ never retries a handler: whatever it leaves undone, by failing or by being killed, is
 * still to be seen in the database, and the sweeper rings for it again.
 */
import { setMaxListeners } from "node:events";
import { errorLine } from "../core/errors.ts";
import type { Doorbell } from "../core/ports.ts";
import { type Backend, type BellKind, ringSchema } from "./backend.ts";
import { settlesWithin } from "./bounded.ts";
import type { Log } from "./log.ts";

/** What to do for one id. The signal aborts when the consumer's grace period is over: release what is held and return. */
export type Handler = (id: string, signal: AbortSignal) => Promise<void>;

export interface Handlers {
  thread: Handler;
  delivery: Handler;
  timer: Handler;
}

export interface Consumer {
  /**
   * Takes no further job, gives the running handlers `graceMs`, then aborts their signals, and leaves those that still
   * do not return behind. Resolves at most 2 s after the grace period. What was cut short is rung again. Safe to repeat.
   */
  close(graceMs: number): Promise<void>;
}

/** How long an aborted handler may take to return before it is left behind. */
const ABORT_WAIT_MS = 1_000;
const LEAVE_WAIT_MS = 900;

interface Wiring {
  backend: Backend;
  doorbell: Doorbell;
  log: Log;
}

export function startConsumer(wiring: Wiring, handlers: Handlers, concurrency: number): Consumer {
  const { backend, doorbell, log } = wiring;
  const cut = endlessSignal();
  const left = endlessSignal();

  async function handle(kind: BellKind, id: string, handler: Handler): Promise<void> {
    try {
      await handler(id, cut.signal);
    } catch (error) {
      log("error", "queue.handler_failed", { kind, id, error: errorLine(error) });
    }
  }
  function listen(kind: BellKind, handler: Handler, ringAgain: (id: string) => Promise<void>) {
    async function hear(job: { data: unknown }): Promise<void> {
      const ring = ringSchema.safeParse(job.data);
      if (!ring.success) return log("error", "queue.job_unreadable", { kind });
      const { id } = ring.data;
      await unlessAborted(handle(kind, id, handler), left.signal);
      if (cut.signal.aborted) await ringAgain(id);
    }
    return backend.worker(kind, hear, concurrency);
  }
  const workers = [
    listen("threads", handlers.thread, (id) => doorbell.ringThread(id)),
    listen("deliveries", handlers.delivery, (id) => doorbell.ringDelivery(id)),
    listen("timers", handlers.timer, (id) => doorbell.ringTimer(id, 0)),
  ];

  async function close(graceMs: number): Promise<void> {
    const closed = Promise.allSettled(workers.map((worker) => worker.close()));
    if (await settlesWithin(closed, graceMs)) return;
    cut.abort();
    if (await settlesWithin(closed, ABORT_WAIT_MS)) return;
    left.abort();
    if (!(await settlesWithin(closed, LEAVE_WAIT_MS))) log("warn", "queue.close_cut_short", { graceMs });
  }
  let closing: Promise<void> | undefined;
  return {
    close: (graceMs) => {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

/** One signal for every handler of a process: more listeners than Node expects of one signal. */
function endlessSignal(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** Settles with `work`, or when the signal aborts, whichever is first; leaves no listener behind. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let give = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    give = resolve;
  });
  signal.addEventListener("abort", give);
  if (signal.aborted) give();
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", give);
  }
}
