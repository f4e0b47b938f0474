/**
 * SQL statements and Redis round trips for each message, counted in one process from the accept to the recorded receipt.
 * `budgets` is what they may cost, with a little room for chance; tests/bench/statements.test.ts fails when a change costs more.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import { createIngest } from "../gateway/ingest.ts";
import { startTempRedis } from "../tests/support/redis.ts";
import { bindingOf, echo, quiet, readingModel, sender } from "./cast.ts";
import { type Counts, startCounting } from "./counting.ts";
import { functionGoal, type Result, type Tell } from "./figures.ts";
import { type Foundation, openFoundation, type Servers, startBenchWorker, tempDatabase } from "./stage.ts";

/** For each message, on average. BullMQ on Postgres speaks SQL too: its statements are in `all`. */
export interface Costs {
  ours: number;
  all: number;
  redis: number;
  breakdown: Record<string, number>;
}

export const budgets = {
  redis: { ours: 6.2, all: 6.2, redis: 8 },
  postgres: { ours: 6.2, all: 15, redis: 0 },
} as const;

/** Ours are prepared by name; BullMQ's are not. */
const isOurs = (name: string): boolean => /^[a-z]+(_[a-z]+)*$/.test(name);
const settleMs = 40;

export async function statements(messages: number, tell: Tell): Promise<Result> {
  const redis = await startTempRedis();
  const record = await tempDatabase();
  const rows: Result["rows"] = {};
  const goals: Result["goals"] = [];
  const notes: string[] = [];
  try {
    for (const backend of ["redis", "postgres"] as const) {
      const servers = { url: record.url, redisUrl: backend === "redis" ? redis.url : null };
      const costs = await costsOf(servers, messages, (line) => tell(`statements, ${backend}: ${line}`));
      rows[`queue on ${backend}`] = [costs.ours, costs.all, costs.redis];
      notes.push(
        ...Object.entries(costs.breakdown).map(([name, each]) => `${backend}: ${each.toFixed(2)} ${name}`),
      );
      const budget = budgets[backend];
      goals.push(
        functionGoal(
          `${backend}: at most ${budget.all} statements, ${budget.ours} of them ours`,
          fits(costs, budget),
        ),
        functionGoal(`${backend}: at most ${budget.redis} round trips to Redis`, costs.redis <= budget.redis),
      );
    }
    const columns = ["our statements", "all statements", "Redis commands"];
    return { name: "statements", columns, rows, goals, notes };
  } finally {
    await record.close();
    await redis.close();
  }
}

export const fits = (costs: Costs, budget: { ours: number; all: number }): boolean =>
  costs.ours <= budget.ours && costs.all <= budget.all;

/** One message after the other, each into a thread of its own, after as many to warm up. */
export async function costsOf(servers: Servers, messages: number, tell: Tell): Promise<Costs> {
  const counting = startCounting();
  const foundation = await openFoundation({ ...servers, alone: true });
  const worker = startBenchWorker(foundation, { agent: echo, model: readingModel() });
  try {
    await converse(foundation, 5, tell);
    counting.take();
    await converse(foundation, messages, tell);
    return averaged(counting.take(), messages);
  } finally {
    counting.end();
    await worker.stop(2_000);
    await foundation.close();
  }
}

async function converse({ log, live, queue, database }: Foundation, messages: number, tell: Tell) {
  const nothing = (): void => undefined;
  const ingest = createIngest({
    log,
    live,
    ids,
    doorbell: queue.doorbell,
    gate: () => ({ allowed: true }),
    route: () => echo.name,
    limits: { messageCharacters: 40_000 },
    metrics: { accepted: nothing, deduped: nothing, refused: nothing },
    logger: quiet,
  });
  for (let at = 1; at <= messages; at += 1) {
    const conversation = ids.next();
    const binding = bindingOf(conversation);
    const facts = {
      dedupeKey: conversation,
      messageId: conversation,
      sender,
      text: "#1 of it",
      attachments: [],
    };
    await ingest.accept({ kind: "message", binding, ...facts });
    // The count of statements must not contain a question about progress: the time is ample for an idle machine, and
    // what comes later is counted with the next message.
    await sleep(settleMs);
    if (at % 10 === 0) tell(`${at} of ${messages}`);
  }
  await untilDelivered(database);
}

async function untilDelivered(database: Foundation["database"]): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const open = {
      name: "sweep_bench",
      text: "select 1 from outbox where status <> 'sent' union all select 1 from threads where runnable_since is not null limit 1",
    };
    if ((await database.run(open)).length === 0) return;
    await sleep(50);
  }
  throw new Error("the messages were not answered within 10 s");
}

function averaged({ statements: asked, commands }: Counts, messages: number): Costs {
  const each = (counts: [string, number][]): number =>
    counts.reduce((sum, [, count]) => sum + count, 0) / messages;
  const all = [...asked];
  return {
    ours: each(all.filter(([name]) => isOurs(name))),
    all: each(all),
    redis: each([...commands]),
    breakdown: Object.fromEntries([...all, ...commands].map(([name, count]) => [name, count / messages])),
  };
}
