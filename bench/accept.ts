/**
 * A message by HTTP to its acknowledgement, at a rate that the sender sets and the server cannot slow down: each arrival
 * has its time, and its latency counts from then on, also when the client or the server is late. POST /v1/threads against
 * a spawned gateway, with nobody working on what it stores.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import { startTempRedis } from "../tests/support/redis.ts";
import {
  cellsOf,
  functionGoal,
  type Result,
  spreadColumns,
  spreadOf,
  type Tell,
  timeGoal,
} from "./figures.ts";
import { echoHome, httpClient } from "./spawned.ts";
import { tempDatabase } from "./stage.ts";

const rates = [100, 300, 1_000];
const connections = 128;
/** Slack sends again what was not acknowledged within 3 s. */
const platformPatienceMs = 3_000;
const settleMs = 1_000;

type HttpClient = ReturnType<typeof httpClient>;

export async function accept(durationMs: number, tell: Tell): Promise<Result> {
  const record = await tempDatabase();
  const redis = await startTempRedis();
  const place = await echoHome({ DATABASE_URL: record.url, REDIS_URL: redis.url });
  const rows: Result["rows"] = {};
  const goals: Result["goals"] = [];
  try {
    const gateway = await place.start({ role: "gateway" });
    const client = httpClient(gateway, connections);
    tell("accept: warming up");
    await arrivals(client, 200, 2_000);
    for (const rate of rates) {
      tell(`accept: ${rate} a second`);
      const { latencies, refused } = await arrivals(client, rate, durationMs);
      const spread = spreadOf(latencies);
      rows[`${rate} a second`] = [...cellsOf(spread), refused];
      goals.push(functionGoal(`${rate} a second: every message stored`, refused === 0));
      goals.push(
        rate <= 300
          ? timeGoal(`${rate} a second: p99 under 50 ms (${spread.p99.toFixed(0)})`, spread.p99 < 50)
          : timeGoal(
              `${rate} a second: nothing over 3 s (${spread.max.toFixed(0)} ms)`,
              spread.max < platformPatienceMs,
            ),
      );
      await sleep(settleMs);
    }
    client.close();
    return { name: "accept", columns: [...spreadColumns, "refused"], rows, goals, notes: ["times in ms"] };
  } finally {
    await place.close();
    await redis.close();
    await record.close();
  }
}

async function arrivals(client: HttpClient, rate: number, durationMs: number) {
  const startedAt = performance.now();
  const latencies: number[] = [];
  let refused = 0;
  const one = async (dueAt: number): Promise<void> => {
    const key = ids.next();
    const answer = await client
      .call("POST", "/v1/threads", { agent: "echo", input: `hello ${key}`, idempotencyKey: key })
      .catch(() => null);
    latencies.push(performance.now() - dueAt);
    if (answer === null || answer.status >= 300) refused += 1;
  };
  const all: Promise<void>[] = [];
  const count = (rate * durationMs) / 1_000;
  for (let at = 0; at < count; at += 1) {
    const dueAt = startedAt + (at * 1_000) / rate;
    const earlyMs = dueAt - performance.now();
    if (earlyMs > 1) await sleep(earlyMs);
    all.push(one(dueAt));
  }
  await Promise.all(all);
  return { latencies, refused };
}
