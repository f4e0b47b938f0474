/**
 * Fake platform in, instant model, fake platform out: how many replies a second, and how long each takes, with the queue
 * on Redis and on Postgres, in one process and as a gateway with two workers. The raw durable step (raw-step.ts) is
 * measured in the same run, in turns with it, so that the ratio of one machine can be compared with another's.
 * Bursts into one thread and pairs of messages 4 ms apart come between; the platform checks its whole history at the end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import { startTempRedis } from "../tests/support/redis.ts";
import type { ActorOptions } from "./actor.ts";
import { functionGoal, type Goal, median, type Result, spreadOf, type Tell, timeGoal } from "./figures.ts";
import { isClean, type Verdict } from "./history.ts";
import { openPlatform, type Platform } from "./platform.ts";
import { openRawSteps } from "./raw-step.ts";
import { type Servers, tempDatabase } from "./stage.ts";

export interface EndToEndSize {
  turns: number;
  turnMs: number;
  idleMessages: number;
  bursts: number;
  pairs: number;
}

/** Conversations under way at once, and the messages of each: the next is sent when the one before is answered. */
const lanes = 64;
const messagesEach = 5;
const burstMessages = 20;
const pairGapMs = 4;
const idlePauseMs = 15;
const warmUpMs = 2_000;
const rawConnections = 4;

const settings = ["single process", "gateway and two workers"] as const;
const backends = ["redis", "postgres"] as const;

const columns = [
  "replies/s",
  "raw/s",
  "ratio",
  "p50 ms",
  "p99 ms",
  "idle p50",
  "idle p99",
  "sent",
  "lost",
  "disordered",
  "doubled",
];

export async function endToEnd(size: EndToEndSize, tell: Tell): Promise<Result> {
  const rows: Result["rows"] = {};
  const goals: Goal[] = [];
  const redis = await startTempRedis();
  const notes: string[] = [];
  try {
    for (const backend of backends) {
      for (const setting of settings) {
        const name = `${backend}, ${setting}`;
        const measured = await measureSetting(
          { redisUrl: backend === "redis" ? redis.url : null, setting, size },
          (line) => tell(`end-to-end, ${name}: ${line}`),
        );
        const { rate, raw, latency, idle, verdict } = measured;
        const ratio = median(measured.ratios);
        rows[name] = [rate, raw, ratio, latency.p50, latency.p99, idle.p50, idle.p99, ...counts(verdict)];
        notes.push(...verdict.examples);
        goals.push(
          timeGoal(`${name}: at least 0.25 of the raw durable step (${ratio.toFixed(2)})`, ratio >= 0.25),
          timeGoal(`${name}: idle p50 under 10 ms (${idle.p50.toFixed(1)})`, idle.p50 < 10),
          functionGoal(`${name}: nothing lost, out of order or doubled`, isClean(verdict)),
        );
      }
    }
    return { name: "end-to-end", columns, rows, goals, notes };
  } finally {
    await redis.close();
  }
}

const counts = ({ sent, lost, disordered, doubled }: Verdict): number[] => [sent, lost, disordered, doubled];

interface Setting {
  redisUrl: string | null;
  setting: (typeof settings)[number];
  size: EndToEndSize;
}

async function measureSetting({ redisUrl, setting, size }: Setting, tell: Tell) {
  const record = await tempDatabase();
  const servers = { url: record.url, redisUrl };
  const raw = await openRawSteps(servers, rawConnections);
  const platform = await openPlatform(partsOf(servers, setting));
  try {
    tell("warming up");
    await talk(platform, warmUpMs);
    await raw.measure(warmUpMs / 2, lanes);
    const turns: { ratio: number; rate: number; raw: number }[] = [];
    const latencies: number[] = [];
    for (let turn = 1; turn <= size.turns; turn += 1) {
      tell(`turn ${turn} of ${size.turns}`);
      const before = await raw.measure(size.turnMs / 4, lanes);
      const { rate, latencies: some } = await talk(platform, size.turnMs);
      const after = await raw.measure(size.turnMs / 4, lanes);
      turns.push({ rate, raw: (before + after) / 2, ratio: (2 * rate) / (before + after) });
      latencies.push(...some);
    }
    const idle = await oneByOne(platform, size.idleMessages, tell);
    tell("bursts and pairs");
    await bursts(platform, size.bursts);
    await pairs(platform, size.pairs);
    return {
      rate: median(turns.map(({ rate }) => rate)),
      raw: median(turns.map((turn) => turn.raw)),
      ratios: turns.map(({ ratio }) => ratio),
      latency: spreadOf(latencies),
      idle: spreadOf(idle),
      verdict: platform.verdict(),
    };
  } finally {
    await platform.close();
    await raw.close();
    await record.close();
  }
}

/** The embedded database has 57 connections for everybody. */
const partsOf = (servers: Servers, setting: (typeof settings)[number]): ActorOptions[] =>
  setting === "single process"
    ? [{ ...servers, role: "all" }]
    : [
        { ...servers, role: "gateway", maxConnections: 6 },
        { ...servers, role: "worker" },
        { ...servers, role: "worker" },
      ];

/** Conversations for `durationMs`, so many at once. @returns replies a second, and what each reply took in ms. */
export async function talk(platform: Platform, durationMs: number, atOnce = lanes) {
  const latencies: number[] = [];
  const startedAt = performance.now();
  const lane = async (): Promise<void> => {
    while (performance.now() - startedAt < durationMs) {
      const conversation = ids.next();
      for (let at = 0; at < messagesEach && performance.now() - startedAt < durationMs; at += 1) {
        latencies.push(await answered(platform, conversation));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { rate: (latencies.length * 1_000) / (performance.now() - startedAt), latencies };
}

async function answered(platform: Platform, conversation: string): Promise<number> {
  const sentAt = performance.now();
  const { accepted, answered: reply } = platform.send(conversation);
  await Promise.all([accepted, reply]);
  return performance.now() - sentAt;
}

/** Nothing else goes on. */
async function oneByOne(platform: Platform, messages: number, tell: Tell): Promise<number[]> {
  const latencies: number[] = [];
  for (let done = 1; done <= messages; done += 1) {
    if (done % 50 === 0) tell(`idle, ${done} of ${messages}`);
    latencies.push(await answered(platform, ids.next()));
    await sleep(idlePauseMs);
  }
  return latencies;
}

/** Twenty messages into one thread, each as soon as the one before is acknowledged; eight such threads at once. */
async function bursts(platform: Platform, count: number): Promise<void> {
  const lane = async (): Promise<void> => {
    for (let burst = 0; burst < count / 8; burst += 1) {
      const conversation = ids.next();
      const replies: Promise<void>[] = [];
      for (let at = 0; at < burstMessages; at += 1) {
        const { accepted, answered: reply } = platform.send(conversation);
        replies.push(reply);
        await accepted;
      }
      await Promise.all(replies);
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}

/** The second message comes when the first one's run may be anywhere between its lease and its release. */
async function pairs(platform: Platform, count: number): Promise<void> {
  for (let pair = 0; pair < count; pair += 1) {
    const conversation = ids.next();
    const first = platform.send(conversation);
    await Promise.all([first.accepted, sleep(pairGapMs)]);
    const second = platform.send(conversation);
    await Promise.all([first.answered, second.accepted, second.answered]);
  }
}
