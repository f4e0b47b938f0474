/** What the sweeper looks for: work whose job was lost, and timers that are due. Reads only, but for firing timers. */
import { z } from "zod";
import type { Database } from "./postgres.ts";

export interface Sweep {
  /** Threads with work and no live lease, runnable for at least `graceMs`. */
  lostThreads(graceMs: number, limit: number): Promise<string[]>;
  /** Threads whose oldest open outbox entry is due, or whose claim died. */
  lostDeliveries(graceMs: number, limit: number): Promise<string[]>;
  dueTimers(limit: number): Promise<string[]>;
  /** Fires a timer if it is due. The thread to ring, or null when there is nothing to do (any more). Safe to repeat. */
  fireTimer(timerId: string): Promise<string | null>;
}

const ids = (rows: Record<string, unknown>[]): string[] => rows.map((row) => z.string().parse(row.id));

export function sweep(database: Database): Sweep {
  return {
    async lostThreads(graceMs, limit) {
      const rows = await database.run({
        name: "sweep_threads",
        text: `select id from threads
                where runnable_since < now() - $1 * interval '1 millisecond'
                  and (lease_owner is null or lease_until < now())
                order by runnable_since limit $2`,
        values: [graceMs, limit],
      });
      return ids(rows);
    },
    async lostDeliveries(graceMs, limit) {
      const rows = await database.run({
        name: "sweep_deliveries",
        text: `select distinct thread_id as id from (
                 (select thread_id from outbox o
                   where status = 'pending' and next_attempt_at < now() - $1 * interval '1 millisecond'
                     and not exists (select 1 from outbox b where b.thread_id = o.thread_id
                                        and b.position < o.position and b.status in ('pending', 'sending'))
                   order by next_attempt_at limit $2)
                 union all
                 (select thread_id from outbox where status = 'sending' and claim_until < now() limit $2)) due
                limit $2`,
        values: [graceMs, limit],
      });
      return ids(rows);
    },
    async dueTimers(limit) {
      const rows = await database.run({
        name: "sweep_timers",
        text: "select id from timers where due_at <= now() order by due_at limit $1",
        values: [limit],
      });
      return ids(rows);
    },
    async fireTimer(timerId) {
      const rows = await database.run({
        name: "fire_timer",
        text: "select fire_timer($1) as id",
        values: [timerId],
      });
      return rows[0]?.id === null ? null : (ids(rows)[0] ?? null);
    },
  };
}
