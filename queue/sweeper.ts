/**
 * Makes up for every bell that was not heard: it looks in the database for work that waits and nobody holds, and rings
 * for it, again and again until it is done. It never works itself. It is what makes a crash, a flushed Redis or a lost
 * ring harmless, so it runs in every process that works.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { errorLine } from "../core/errors.ts";
import type { Doorbell } from "../core/ports.ts";
import { backoffMs, within } from "./bounded.ts";
import type { Log } from "./log.ts";

/** What the sweeper asks of the database. Each call is one bounded query by the database's clock; ids oldest first. */
export interface SweepSource {
  /** Threads that are runnable, held by no live lease, and have been so for longer than a ring takes. */
  lostThreads(limit: number): Promise<string[]>;
  /** Threads with outbox entries that are due and that nobody is sending. */
  lostDeliveries(limit: number): Promise<string[]>;
  /** Timers that are due and not yet fired. */
  dueTimers(limit: number): Promise<string[]>;
}

export interface Sweeper {
  /** Ends it; waits for the pass that is under way, which is bounded. */
  stop(): Promise<void>;
}

export interface SweeperOptions {
  source: SweepSource;
  doorbell: Doorbell;
  log: Log;
  intervalMs?: number;
}

/** At most so many ids of each kind a pass: a backlog is rung for in portions. */
const IDS_A_PASS = 200;
/** An id that was rung for is left alone so long: its job may wait behind others, and more jobs would not help it. */
const SPACING_MS = 5_000;
const QUERY_LIMIT_MS = 10_000;
const LONGEST_BACKOFF_MS = 30_000;

export function startSweeper(options: SweeperOptions): Sweeper {
  const { log, intervalMs = 1_000 } = options;
  const stopping = new AbortController();
  const sweep = makePass(options);

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      try {
        await sweep();
        if (failures > 0) log("info", "sweeper.recovered", { failures });
        failures = 0;
      } catch (error) {
        if (failures === 0) log("warn", "sweeper.failing", { error: errorLine(error) });
        failures += 1;
      }
      const pauseMs = failures === 0 ? intervalMs : backoffMs(failures, intervalMs, LONGEST_BACKOFF_MS);
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }
  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

/** One look at the database, and the rings that follow from it. */
function makePass({ source, doorbell, log }: SweeperOptions): () => Promise<void> {
  const sweeps = [
    {
      kind: "threads",
      find: () => source.lostThreads(IDS_A_PASS),
      ring: (id: string) => doorbell.ringThread(id, true),
    },
    {
      kind: "deliveries",
      find: () => source.lostDeliveries(IDS_A_PASS),
      ring: (id: string) => doorbell.ringDelivery(id, 0, true),
    },
    {
      kind: "timers",
      find: () => source.dueTimers(IDS_A_PASS),
      ring: (id: string) => doorbell.ringTimer(id, 0, true),
    },
  ];
  const rungAt = new Map<string, number>();

  return async () => {
    const now = performance.now();
    for (const [key, at] of rungAt) if (now - at >= SPACING_MS) rungAt.delete(key);
    for (const { kind, find, ring } of sweeps) {
      const found = await within(find(), QUERY_LIMIT_MS, `sweep ${kind}`);
      const lost = found.slice(0, IDS_A_PASS).filter((id) => !rungAt.has(`${kind} ${id}`));
      for (const id of lost) rungAt.set(`${kind} ${id}`, now);
      await Promise.allSettled(lost.map((id) => ring(id)));
      if (lost.length > 0) log("debug", "sweeper.rang", { kind, count: lost.length });
    }
  };
}
