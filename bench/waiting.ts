/**
 * Threads that wait for an approval hold no worker slot and no timer in memory: the memory of a worker with 1 to 100,000
 * of them, and how long it takes from a person's yes to the reply. Up to 14,000 the worker has brought each of them
 * to where it waits; those beyond are copies of their rows, which is all that a waiting thread is.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import { type Approvals, approvals } from "../store/approvals.ts";
import type { Database } from "../store/postgres.ts";
import { startTempRedis } from "../tests/support/redis.ts";
import { askerPolicies, message, sender } from "./cast.ts";
import { functionGoal, type Result, spreadOf, type Tell, timeGoal } from "./figures.ts";
import { openPlatform, type Platform } from "./platform.ts";
import { type Foundation, openFoundation, tempDatabase } from "./stage.ts";

/** By `warm` the worker has done enough work for its heap to have its size: what comes after is what waiting costs. */
const levels = [1, 1_000, 4_000, 14_000, 100_000];
const warm = 4_000;
const ownMost = 14_000;
const ownAtOnce = 16;
const copiesAtOnce = 5_000;
const settleMs = 2_000;
const mostGrowthMb = 20;
const resumedEach = 10;

export async function waiting(most: number, tell: Tell): Promise<Result> {
  const record = await tempDatabase();
  const redis = await startTempRedis();
  const servers = { url: record.url, redisUrl: redis.url };
  const foundation = await openFoundation({ ...servers, alone: false, maxConnections: 4 });
  const platform = await openPlatform([{ ...servers, role: "worker", agent: "asker" }]);
  try {
    const stage = { foundation, platform, approvals: approvals(foundation.database) };
    const rows: Result["rows"] = {};
    const memories: number[] = [];
    const medians: number[] = [];
    await resumeSome(stage, resumedEach);
    for (const count of levels.filter((some) => some <= most)) {
      await fill(foundation, count, (now) => tell(`waiting: ${now} of ${count}`));
      await sleep(settleMs);
      const memory = await platform.memory(0);
      const spread = spreadOf(await resumeSome(stage, resumedEach));
      const rssMb = memory.rssBytes / 2 ** 20;
      memories.push(rssMb);
      medians.push(spread.p50);
      rows[`${count} waiting`] = [rssMb, memory.heapBytes / 2 ** 20, spread.p50, spread.max];
    }
    const counts = levels.filter((some) => some <= most);
    const warmMb = memories[counts.indexOf(warm)];
    const growthMb = Math.max(...memories) - (warmMb ?? 0);
    const slowdown = Math.max(...medians) / (medians[0] ?? 1);
    return {
      name: "waiting",
      columns: ["worker RSS MB", "heap MB", "resume p50 ms", "resume max ms"],
      rows,
      goals: [
        ...(warmMb === undefined || most === warm
          ? []
          : [
              functionGoal(
                `${most - warm} more waiting threads cost a warm worker under ${mostGrowthMb} MB (${growthMb.toFixed(1)})`,
                growthMb < mostGrowthMb,
              ),
            ]),
        timeGoal(`resuming one takes no more than twice as long (${slowdown.toFixed(2)})`, slowdown <= 2),
      ],
    };
  } finally {
    await platform.close();
    await foundation.close();
    await redis.close();
    await record.close();
  }
}

interface WaitingStage {
  foundation: Foundation;
  platform: Platform;
  approvals: Approvals;
}

/** Brings threads to ask, says yes to one after the other, and waits for each reply. @returns the ms of each. */
async function resumeSome(stage: WaitingStage, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < count; at += 1) times.push(await resumeOne(stage));
  return times;
}

async function resumeOne({ foundation, approvals: store }: WaitingStage): Promise<number> {
  const { database, queue } = foundation;
  const threadId = await pending(foundation);
  const rows = await database.run({
    text: "select id from approvals where thread_id = $1",
    values: [threadId],
  });
  const approvalId = String(rows[0]?.id);
  const startedAt = performance.now();
  const yes = { approvalId, verdict: "approve", sender, roles: [], reason: null, args: null } as const;
  await store.decide(yes, (_approval, args) => args);
  await queue.doorbell.ringThread(threadId);
  await until(
    database,
    "select 1 from outbox where thread_id = $1 and kind = 'reply' and status = 'sent'",
    threadId,
  );
  return performance.now() - startedAt;
}

/** A thread of the worker's own that waits. */
async function pending({ log, queue, database }: Foundation): Promise<string> {
  const threadId = ids.next();
  await log.accept(message(threadId, "deploy", "asker"));
  await queue.doorbell.ringThread(threadId);
  await until(database, "select 1 from approvals where thread_id = $1 and status = 'pending'", threadId);
  return threadId;
}

async function until(database: Database, text: string, threadId: string): Promise<void> {
  for (const startedAt = performance.now(); performance.now() - startedAt < 30_000; await sleep(1)) {
    if ((await database.run({ name: text.slice(0, 60), text, values: [threadId] })).length > 0) return;
  }
  throw new Error(`it did not come to this within 30 s: ${text}`);
}

/** Adds waiting threads until there are `count`: the worker's own work up to `ownMost`, copies of one thread's rows beyond. */
async function fill(foundation: Foundation, count: number, tell: (now: number) => void): Promise<void> {
  const { database } = foundation;
  const template = await pending(foundation);
  for (;;) {
    const rows = await database.run({
      text: "select count(*)::int as n from approvals where status = 'pending' and policy ->> 'name' = $1",
      values: [[...askerPolicies.keys()][0]],
    });
    const now = Number(rows[0]?.n);
    tell(now);
    if (now >= count) return;
    const missing = count - now;
    if (now < ownMost)
      await Promise.all(Array.from({ length: Math.min(ownAtOnce, missing) }, () => pending(foundation)));
    else await database.run({ text: copy, values: [template, Math.min(copiesAtOnce, missing), ids.next()] });
  }
}

/** $1 the thread, $2 copies, $3 what makes their ids new. */
const copy = `
with n as (select md5($3 || g)::uuid as thread_id, g from generate_series(1, $2::int) g
), t as (
  insert into threads (id, agent, status, waiting_for, title, version, spend_tokens, spend_usd)
  select n.thread_id, agent, status, waiting_for, title, version, spend_tokens, spend_usd from threads, n where id = $1::uuid
), b as (
  insert into bindings (channel, account, room, anchor, thread_id, home)
  select channel, account, room, n.thread_id::text, n.thread_id, home from bindings b, n where b.thread_id = $1::uuid
), e as (
  insert into events (thread_id, seq, type, v, data, actor)
  select n.thread_id, seq, type, v, data, actor from events e, n where e.thread_id = $1::uuid
), a as (
  insert into approvals (id, thread_id, call_id, agent, tool, summary, args, digest, code, requesters, policy,
                         policy_version, quorum, expires_at)
  select md5(a.id::text || $3 || g)::uuid, n.thread_id, call_id, agent, tool, summary, args, digest, code || $3 || g,
         requesters, policy, policy_version, quorum, expires_at from approvals a, n where a.thread_id = $1::uuid
)
select count(*) from n`;
