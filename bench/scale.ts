/**
 * One, two and four workers with a model that takes 200 ms: what waits for a model costs no core, so that twice the
 * workers answer twice as much, until the cores are full. The share of the machine that was busy says whether they are.
 */
import { cpus } from "node:os";
import { startTempRedis } from "../tests/support/redis.ts";
import { talk } from "./end-to-end.ts";
import { functionGoal, type Goal, type Result, spreadOf, type Tell, timeGoal } from "./figures.ts";
import { isClean } from "./history.ts";
import { openPlatform } from "./platform.ts";
import { tempDatabase } from "./stage.ts";

const modelMs = 200;
/** gateway/start.ts: threads that a worker works on at once. */
const concurrency = 32;
const workerCounts = [1, 2, 4];
/** Fewer than this and the cores were not what held it up. */
const fullShare = 0.85;
const warmUpMs = 3_000;

export async function scale(durationMs: number, tell: Tell): Promise<Result> {
  const redis = await startTempRedis();
  const rows: Result["rows"] = {};
  const goals: Goal[] = [];
  try {
    for (const workers of workerCounts) {
      tell(`scale: ${workers} workers`);
      const { rate, p50, busy, clean } = await measure(redis.url, workers, durationMs);
      const ideal = (workers * concurrency * 1_000) / modelMs;
      const share = rate / ideal;
      rows[`${workers} workers`] = [rate, ideal, share, p50, busy];
      goals.push(
        functionGoal(`${workers} workers: nothing lost, out of order or doubled`, clean),
        timeGoal(
          `${workers} workers: 0.7 of what their slots allow, or full cores (${share.toFixed(2)}, ${(busy * 100).toFixed(0)} % busy)`,
          share >= 0.7 || busy >= fullShare,
        ),
      );
    }
    return {
      name: "scale",
      columns: ["replies/s", "slots allow", "share", "p50 ms", "machine busy"],
      rows,
      goals,
    };
  } finally {
    await redis.close();
  }
}

async function measure(redisUrl: string, workers: number, durationMs: number) {
  const record = await tempDatabase();
  const servers = { url: record.url, redisUrl };
  const worker = { ...servers, role: "worker", modelMs, maxConnections: 10 } as const;
  const platform = await openPlatform([
    { ...servers, role: "gateway", maxConnections: 6 },
    ...Array.from({ length: workers }, () => worker),
  ]);
  try {
    const lanes = workers * concurrency * 1.5;
    await talk(platform, warmUpMs, lanes);
    const before = machineMs();
    const { rate, latencies } = await talk(platform, durationMs, lanes);
    const after = machineMs();
    const busy = (after.busy - before.busy) / (after.all - before.all);
    return { rate, p50: spreadOf(latencies).p50, busy, clean: isClean(platform.verdict()) };
  } finally {
    await platform.close();
    await record.close();
  }
}

function machineMs(): { busy: number; all: number } {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.irq;
    busy += sum;
    all += sum + times.idle;
  }
  return { busy, all };
}
