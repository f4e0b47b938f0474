/**
 * Message in to reply out when nothing else is going on: from calling `accept` to the reply reaching the channel, with
 * an instant model, the queue on Redis and on Postgres. The bare statement is measured in the same run, interleaved, so
 * that the figures of one machine can be compared with those of another.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import { startTempRedis } from "../tests/support/redis.ts";
import { type Figures, figuresOf, type Result } from "./figures.ts";
import { message, openStage, type Stage } from "./stage.ts";

const pauseMs = 15;
const warmUps = 30;

export async function latency(messages: number, tell: (line: string) => void): Promise<Result> {
  const redis = await startTempRedis();
  try {
    const rows: Record<string, Figures> = {};
    for (const backend of ["redis", "postgres"] as const) {
      const stage = await openStage(backend === "redis" ? redis.url : null);
      try {
        await measure(stage, warmUps, () => {});
        const measured = await measure(stage, messages, (done) => {
          if (done % 100 === 0) tell(`latency, ${backend}: ${done} of ${messages}`);
        });
        rows[`${backend}: message in to reply out`] = figuresOf(measured.replies);
        rows[`${backend}: of it, the accept`] = figuresOf(measured.accepts);
      } finally {
        await stage.close();
      }
    }
    return { name: "latency", unit: "ms", rows, goals: goals(rows) };
  } finally {
    await redis.close();
  }
}

async function measure(stage: Stage, count: number, progress: (done: number) => void) {
  const replies: number[] = [];
  const accepts: number[] = [];
  for (let done = 1; done <= count; done++) {
    const threadId = ids.next();
    const sent = stage.nextSend(threadId);
    const startedAt = performance.now();
    await stage.log.accept(message(threadId, "hello"));
    accepts.push(performance.now() - startedAt);
    await stage.queue.doorbell.ringThread(threadId);
    replies.push((await sent) - startedAt);
    progress(done);
    await sleep(pauseMs);
  }
  return { replies, accepts };
}

const goals = (rows: Record<string, Figures>) =>
  ["redis", "postgres"].flatMap((backend) => {
    const figures = rows[`${backend}: message in to reply out`];
    if (figures === undefined) return [];
    return [
      { goal: `${backend}: p50 under 30 ms`, met: figures.p50 < 30 },
      { goal: `${backend}: p99 under 150 ms`, met: figures.p99 < 150 },
    ];
  });
