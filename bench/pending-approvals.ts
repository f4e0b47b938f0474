/**
 * A pending approval holds no worker slot and no timer in memory: the memory of a worker after a first batch of pending
 * threads, and after all of them. The worker takes new work all the while, which shows that no slot is held.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import { threadLog } from "../store/log.ts";
import { openDatabase } from "../store/postgres.ts";
import { figuresOf, type Result } from "./figures.ts";
import { message, tempDatabase } from "./stage.ts";

const settleMs = 3_000;
const batch = 50;
const mostGrowthMb = 20;

export async function pendingApprovals(threads: number, tell: (line: string) => void): Promise<Result> {
  const record = await tempDatabase();
  const database = openDatabase({ url: record.url });
  const log = threadLog(database);
  const child = fork(join(import.meta.dirname, "pending-worker.ts"), [record.url]);
  await once(child, "message");

  const memoryMb = async (): Promise<number> => {
    await sleep(settleMs);
    child.send("memory");
    const [answer] = (await once(child, "message")) as [{ rssBytes: number }];
    return answer.rssBytes / 1024 / 1024;
  };
  const untilPending = async (count: number): Promise<void> => {
    for (;;) {
      const rows = await database.run({
        text: "select count(*)::int as n from approvals where status = 'pending'",
      });
      tell(`pending approvals: ${rows[0]?.n} of ${threads}`);
      if (Number(rows[0]?.n) >= count) return;
      await sleep(200);
    }
  };
  const addPending = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += batch) {
      const some = Array.from({ length: Math.min(batch, to - at) }, () =>
        log.accept(message(ids.next(), "deploy", "asker")),
      );
      await Promise.all(some);
    }
    // Nobody rings: the sweeper finds them, 200 a pass, as it would after a lost queue.
    await untilPending(to);
  };

  try {
    const first = Math.floor(threads / 5);
    await addPending(0, first);
    const beforeMb = await memoryMb();
    await addPending(first, threads);
    const afterMb = await memoryMb();
    const growth = afterMb - beforeMb;
    return {
      name: "pending-approvals",
      unit: "MB of resident memory",
      rows: {
        [`worker with ${first} pending threads`]: figuresOf([beforeMb]),
        [`worker with ${threads} pending threads`]: figuresOf([afterMb]),
        growth: figuresOf([growth]),
      },
      goals: [
        {
          goal: `${threads - first} more pending threads cost under ${mostGrowthMb} MB`,
          met: growth < mostGrowthMb,
        },
      ],
    };
  } finally {
    child.disconnect();
    await once(child, "exit");
    await database.close();
    await record.close();
  }
}
