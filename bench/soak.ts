/**
 * `npm run soak -- --minutes N`: half the highest rate, with a worker killed every minute and replaced. Nothing may be
 * lost, the gateway and the worker that stays may not grow, and no connection may stay behind. Ends with 1 otherwise.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ids } from "../gateway/ids.ts";
import { openDatabase } from "../store/postgres.ts";
import { startTempRedis, type TempRedis } from "../tests/support/redis.ts";
import type { ActorOptions } from "./actor.ts";
import { talk } from "./end-to-end.ts";
import { functionGoal, median, type Result, spreadOf, table } from "./figures.ts";
import { isClean } from "./history.ts";
import { openPlatform, type Platform } from "./platform.ts";
import { tempDatabase } from "./stage.ts";

const lanes = 64;
const messagesEach = 5;
const sampleEveryMs = 5_000;
const killEveryMs = 60_000;
const mostGrowth = 0.05;
/** The first third is warm-up: pools fill and code gets compiled. */
const warmUpShare = 1 / 3;
const gatewayConnections = 6;
const workerConnections = 12;
const ownConnections = 1;
const stays = [
  { actor: 0, name: "gateway" },
  { actor: 1, name: "worker that stays" },
] as const;

interface Sample {
  atMs: number;
  rssMb: number[];
  postgres: number;
  redis: number;
}

const { values } = parseArgs({ options: { minutes: { type: "string", default: "30" } } });
const durationMs = Number(values.minutes) * 60_000;
if (!(durationMs >= 60_000)) throw new Error("--minutes takes a number from 1 on");

const record = await tempDatabase();
const redis = await startTempRedis();
const database = openDatabase({ url: record.url, maxConnections: ownConnections });
const servers = { url: record.url, redisUrl: redis.url };
const worker: ActorOptions = { ...servers, role: "worker", maxConnections: workerConnections };
const platform = await openPlatform([
  { ...servers, role: "gateway", maxConnections: gatewayConnections },
  worker,
  worker,
]);
try {
  const { rate } = await talk(platform, 8_000);
  const result = await soak(platform, redis, rate / 2);
  console.log(table(result));
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "soak.json"),
    `${JSON.stringify({ ...result, at: new Date().toISOString() }, null, 2)}\n`,
  );
  if (result.goals.some(({ met }) => !met)) process.exitCode = 1;
} finally {
  await platform.close();
  await database.close();
  await redis.close();
  await record.close();
}

async function soak(to: Platform, server: TempRedis, rate: number): Promise<Result> {
  const startedAt = performance.now();
  const end = new AbortController();
  const latencies: number[] = [];
  const samples: Sample[] = [];
  const all = [
    ...Array.from({ length: lanes }, () => lane(to, { rate, latencies, until: startedAt + durationMs })),
  ];
  const watching = watch(to, server, { samples, startedAt, signal: end.signal });
  const killing = kill(to, end.signal);
  await Promise.all(all);
  end.abort();
  const [, kills] = await Promise.all([watching, killing]);
  samples.push(await sample(to, server, startedAt));
  return resultOf({ samples, kills, latencies, rate });
}

/** A sender that keeps its pace, and is held up only by the answers to its own messages. */
async function lane(
  to: Platform,
  { rate, latencies, until }: { rate: number; latencies: number[]; until: number },
): Promise<void> {
  const everyMs = (lanes * 1_000) / rate;
  await sleep(Math.random() * everyMs);
  while (performance.now() < until) {
    const conversation = ids.next();
    for (let at = 0; at < messagesEach; at += 1) {
      const sentAt = performance.now();
      const { accepted, answered } = to.send(conversation);
      // What does not come within the platform's patience is in the verdict; the conversation ends there.
      if (
        !(await Promise.all([accepted, answered]).then(
          () => true,
          () => false,
        ))
      ) {
        console.error(`\nunanswered: ${JSON.stringify(await recordOf(conversation))}`);
        break;
      }
      latencies.push(performance.now() - sentAt);
      await sleep(Math.max(0, everyMs - (performance.now() - sentAt)));
    }
  }
}

/** What the record says of a conversation that got no answer. */
const recordOf = (conversation: string) =>
  database.run({
    text: `select t.id, t.status, t.version, t.lease_owner, t.lease_until, t.runnable_since, now(),
             (select jsonb_agg(jsonb_build_object('status', status, 'claimed', claim_until, 'text', content ->> 'text') order by position)
                from outbox o where o.thread_id = t.id) as outbox
             from threads t join bindings b on b.thread_id = t.id where b.anchor = $1`,
    values: [conversation],
  });

/** Kills the worker that does not stay, as the kernel does when memory runs out, and starts another. */
async function kill(to: Platform, signal: AbortSignal): Promise<number> {
  let victim = 2;
  for (let kills = 0; ; kills += 1) {
    const pauseMs = kills === 0 ? Math.max(killEveryMs, durationMs * warmUpShare) : killEveryMs;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return kills;
    to.actors[victim]?.kill("SIGKILL");
    victim = await to.join(worker);
  }
}

async function watch(
  to: Platform,
  server: TempRedis,
  { samples, startedAt, signal }: { samples: Sample[]; startedAt: number; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    samples.push(await sample(to, server, startedAt));
    if (process.stderr.isTTY) {
      const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
      process.stderr.write(`\r\u001b[Ksoak: ${minutes} of ${values.minutes} minutes`);
    }
    await sleep(sampleEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

async function sample(to: Platform, server: TempRedis, startedAt: number): Promise<Sample> {
  const memories = await Promise.all(stays.map(({ actor }) => to.memory(actor)));
  const rows = await database.run({
    text: "select count(*)::int as n from pg_stat_activity where application_name like 'parley%' and pid <> pg_backend_pid()",
  });
  const clients = /connected_clients:(\d+)/.exec(String(await server.command("INFO", "clients")))?.[1];
  return {
    atMs: performance.now() - startedAt,
    rssMb: memories.map(({ rssBytes }) => rssBytes / 2 ** 20),
    postgres: Number(rows[0]?.n),
    redis: Number(clients),
  };
}

function resultOf(soaked: { samples: Sample[]; kills: number; latencies: number[]; rate: number }): Result {
  const { samples, kills, latencies, rate } = soaked;
  const verdict = platform.verdict();
  const warm = samples.filter(({ atMs }) => atMs >= durationMs * warmUpShare);
  const quarter = Math.max(1, Math.floor(warm.length / 4));
  const rows: Result["rows"] = {};
  const goals: Result["goals"] = [];
  for (const [at, { name }] of stays.entries()) {
    const of = (some: Sample[]): number => median(some.map(({ rssMb }) => rssMb[at] ?? 0));
    const [before, after] = [of(warm.slice(0, quarter)), of(warm.slice(-quarter))];
    const growth = after / before - 1;
    rows[`${name}, RSS MB`] = [before, after];
    goals.push(
      functionGoal(
        `the ${name} grows under 5 % after warm-up (${(growth * 100).toFixed(1)} %)`,
        growth < mostGrowth,
      ),
    );
  }
  const last = samples.at(-1);
  // The first kill comes at the end of the warm-up or later: until then every process is there with all it opens.
  const whole = samples.filter(({ atMs }) => atMs < durationMs * warmUpShare);
  const before = {
    postgres: Math.max(...whole.map(({ postgres }) => postgres)),
    redis: Math.max(...whole.map((each) => each.redis)),
  };
  const most = gatewayConnections + 2 * workerConnections;
  rows["connections to Postgres"] = [before.postgres, last?.postgres ?? 0];
  rows["connections to Redis"] = [before.redis, last?.redis ?? 0];
  goals.push(
    functionGoal(`no connection to Postgres stays behind (at most ${most})`, (last?.postgres ?? 0) <= most),
    functionGoal("no connection to Redis stays behind", (last?.redis ?? 0) <= before.redis),
    functionGoal(
      `nothing lost, out of order or doubled in ${verdict.sent} messages and ${kills} kills`,
      isClean(verdict),
    ),
  );
  const spread = spreadOf(latencies);
  const notes = [
    `${rate.toFixed(0)} messages a second asked for, ${((latencies.length * 1_000) / durationMs).toFixed(0)} answered`,
    `answers in ms: p50 ${spread.p50.toFixed(0)}, p99 ${spread.p99.toFixed(0)}, max ${spread.max.toFixed(0)} (a kill costs a lease)`,
    ...verdict.examples,
  ];
  return { name: "soak", columns: ["after warm-up", "at the end"], rows, goals, notes };
}
