/**
 * The raw durable step that everything is compared with: one statement that dedupes and appends, one BullMQ job added
 * and processed, and nothing else. Same driver, pool, queue options and concurrency as the program's own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import { openQueue } from "../queue/queue.ts";
import { openDatabase } from "../store/postgres.ts";
import { quiet } from "./cast.ts";
import type { Servers } from "./stage.ts";

export interface RawSteps {
  /** Runs for `durationMs` with `window` steps under way. @returns steps a second. */
  measure(durationMs: number, window: number): Promise<number>;
  close(): Promise<void>;
}

const table = `create table if not exists raw_steps (
  id uuid primary key, thread_id uuid not null, seq int not null, data jsonb not null, at timestamptz not null default now())`;
const step = {
  name: "raw_step",
  text: `with known as (select id from raw_steps where id = $1), added as (
           insert into raw_steps (id, thread_id, seq, data) select $1, $2, $3, $4 where not exists (select 1 from known)
           returning id)
         select id from added union all select id from known`,
};
const data = JSON.stringify({
  type: "message_received",
  text: "hello",
  sender: { channel: "bench", identity: "u" },
});

export async function openRawSteps({ url, redisUrl }: Servers, maxConnections: number): Promise<RawSteps> {
  const database = openDatabase({ url, maxConnections });
  await database.run({ text: table });
  const queue = await openQueue(
    redisUrl === null ? { kind: "postgres", url } : { kind: "redis", url: redisUrl },
    { log: quiet, prefix: "raw" },
  );
  const waiting = new Map<string, () => void>();
  const done = async (id: string): Promise<void> => {
    waiting.get(id)?.();
    waiting.delete(id);
  };
  const consumer = queue.consume({ thread: done, delivery: done, timer: done }, 32);
  const one = async (): Promise<void> => {
    const id = ids.next();
    const processed = new Promise<void>((resolve) => waiting.set(id, resolve));
    await database.run({ ...step, values: [id, id, 1, data] });
    await queue.doorbell.ringThread(id);
    await processed;
  };
  return {
    async measure(durationMs, window) {
      let count = 0;
      const startedAt = performance.now();
      const until = startedAt + durationMs;
      const lane = async (): Promise<void> => {
        for (; performance.now() < until; count += 1) await one();
      };
      await Promise.all(Array.from({ length: window }, lane));
      return (count * 1_000) / (performance.now() - startedAt);
    },
    async close() {
      await consumer.close(1_000);
      await queue.close();
      await database.close();
      await sleep(0);
    },
  };
}
