/**
 * What a step costs in threads of 10 to 10,000 events: one message, from taking the lease to giving it up, without any
 * queue. Long threads are kept short by snapshots and compaction; this shows that it works. The threads take turns.
 */

import { openCircuit } from "../agents/model/circuit.ts";
import { runThread } from "../agents/runtime/loop.ts";
import type { LoopParts } from "../agents/runtime/parts.ts";
import type { Doorbell } from "../core/ports.ts";
import { clock, ids } from "../gateway/ids.ts";
import { memoryLive } from "../queue/live.ts";
import { threadLog } from "../store/log.ts";
import { openDatabase } from "../store/postgres.ts";
import { echo, message, model, prompts, quiet } from "./cast.ts";
import { cellsOf, type Result, spreadColumns, spreadOf, type Tell, timeGoal } from "./figures.ts";
import { tempDatabase } from "./stage.ts";

const unheard: Doorbell = {
  ringThread: async () => {},
  ringDelivery: async () => {},
  ringTimer: async () => {},
};

export async function threadLength(most: number, rounds: number, tell: Tell): Promise<Result> {
  const record = await tempDatabase();
  const lengths = [10, 100, 1_000, 10_000].filter((length) => length <= most);
  try {
    const threads = await Promise.all(lengths.map((length) => grown(record.url, length, tell)));
    const { speak, close } = speaker(record.url);
    const times = threads.map((): number[] => []);
    for (let round = 1; round <= rounds; round += 1) {
      tell(`thread-length: round ${round} of ${rounds}`);
      for (const [at, thread] of threads.entries()) times[at]?.push(await speak(thread));
    }
    await close();
    const spreads = times.map((some) => spreadOf(some));
    const [shortest] = spreads;
    const rows = Object.fromEntries(
      lengths.map((length, at) => [`${length} events`, cellsOf(spreads[at] ?? spreadOf([]))]),
    );
    const worst = Math.max(...spreads.map(({ p50 }) => p50)) / (shortest?.p50 ?? 1);
    return {
      name: "thread-length",
      columns: spreadColumns,
      rows,
      goals: [timeGoal(`flat within 1.5 times (${worst.toFixed(2)})`, worst <= 1.5)],
      notes: ["ms for one message, from the lease to its release"],
    };
  } finally {
    await record.close();
  }
}

/** A thread that has talked until it has so many events. Nothing waits for the disk: only the result is measured. */
async function grown(url: string, length: number, tell: Tell): Promise<string> {
  const lazy = new URL(url);
  lazy.searchParams.set("options", "-c synchronous_commit=off");
  const { speak, version, close } = speaker(lazy.href);
  const thread = ids.next();
  let events = 0;
  for (let said = 1; events < length; said += 1) {
    await speak(thread);
    if (said % 20 === 0 || length < 100) {
      events = await version(thread);
      tell(`thread-length: ${events} of ${length} events`);
    }
  }
  await close();
  return thread;
}

/** @returns what says one message into a thread and works on it, and gives the ms that the work took. */
function speaker(url: string) {
  const database = openDatabase({ url, maxConnections: 2 });
  const log = threadLog(database);
  const parts: LoopParts = {
    prompts,
    primary: model(() => ({ intent: "reply", text: "Understood, I will see to it." })),
    backup: null,
    circuit: openCircuit(),
    costUsd: async () => 0,
    live: memoryLive(quiet),
    ids,
    clock,
    log,
    doorbell: unheard,
    agents: new Map([[echo.name, echo]]),
    policies: new Map(),
    budgets: {},
    owner: ids.next(),
    leaseTtlMs: 8_000,
    logger: quiet,
    observe: () => {},
  };
  const never = new AbortController().signal;
  return {
    async speak(thread: string): Promise<number> {
      await log.accept(message(thread, "Could you look into the order that came this morning?"));
      const startedAt = performance.now();
      await runThread(parts, thread, never);
      return performance.now() - startedAt;
    },
    async version(thread: string): Promise<number> {
      const rows = await database.run({
        text: "select version from threads where id = $1",
        values: [thread],
      });
      return Number(rows[0]?.version);
    },
    close: () => database.close(),
  };
}
