import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openQueue, type Queue } from "../../queue/queue.ts";
import { redisServer, startTempRedis, type TempRedis } from "../support/redis.ts";
import { describeWith } from "../support/suite.ts";
import { queueSuite } from "./queue-suite.ts";
import { elapsedMs, gate, recordedLog, until } from "./recorded.ts";

queueSuite("the queue on Redis", redisServer, async () => {
  const redis = await startTempRedis();
  return { ...redis, server: { kind: "redis", url: redis.url } };
});

describeWith(redisServer, "the queue on Redis alone", () => {
  let redis: TempRedis;
  let queue: Queue | undefined;
  const recorded = recordedLog();
  const heard: string[] = [];
  const note = async (id: string) => void heard.push(id);
  const handlers = { thread: note, delivery: note, timer: note };

  beforeEach(async () => {
    recorded.lines.length = 0;
    heard.length = 0;
    redis = await startTempRedis({ appendOnly: true });
  });
  afterEach(async () => {
    await queue?.close();
    await redis.close();
  });
  const open = async () => {
    queue = await openQueue({ kind: "redis", url: redis.url }, { log: recorded.log });
    return queue;
  };

  it("is heard again after FLUSHALL, idle and in the middle of a handler", async () => {
    const hold = gate();
    const opened = await open();
    const thread = async (id: string) => {
      heard.push(id);
      if (id === "held") await hold.opened;
    };
    opened.consume({ ...handlers, thread }, 4);
    await opened.doorbell.ringThread("held");
    await until(() => heard.includes("held"), "held");

    await redis.flush();
    await opened.doorbell.ringThread("other");
    await until(() => heard.includes("other"), "other, while a handler runs");
    hold.open();
    await sleep(200);
    await redis.flush();
    heard.length = 0;
    await opened.doorbell.ringThread("held");
    await until(() => heard.includes("held"), "held, once more");
  });

  it("keeps rings over kill -9 when Redis keeps them", async () => {
    const opened = await open();
    await opened.doorbell.ringThread("kept");
    await sleep(1_500);
    await redis.kill();
    await redis.start();
    opened.consume(handlers, 4);
    await until(() => heard.includes("kept"), "kept", 15_000);
  });

  it("rings within a second when Redis is connected but silent, and recovers", async () => {
    const opened = await open();
    opened.consume(handlers, 4);
    redis.signal("SIGSTOP");
    expect(await elapsedMs(() => opened.doorbell.ringThread("frozen"))).toBeLessThan(1_000);
    expect(opened.ringCounts()).toEqual({ rung: 0, failed: 1 });
    redis.signal("SIGCONT");
    await until(() => heard.includes("frozen"), "the ring that was on its way", 10_000);
    await opened.doorbell.ringThread("thawed");
    await until(() => heard.includes("thawed"), "thawed", 10_000);
  });

  it("opens while Redis is down, and hears when it appears", async () => {
    await redis.stop();
    const opened = await open();
    opened.consume(handlers, 4);
    expect(await elapsedMs(() => opened.doorbell.ringThread("early"))).toBeLessThan(1_000);
    expect(recorded.of("queue.unreachable")).toHaveLength(1);
    await redis.start();
    await until(() => recorded.of("queue.reachable").length === 1, "reachable", 10_000);
    await opened.doorbell.ringThread("later");
    await until(() => heard.includes("later"), "later", 10_000);
  });

  it("warns when Redis may evict jobs, and not otherwise", async () => {
    await open();
    await sleep(200);
    expect(recorded.of("queue.redis_evicts")).toEqual([]);
    await queue?.close();
    await redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    await open();
    await until(() => recorded.of("queue.redis_evicts").length === 1, "warning");
    expect(recorded.of("queue.redis_evicts")[0]?.fields).toMatchObject({ policy: "allkeys-lru" });
  });

  it("takes five connections with its consumer, and gives them all back", async () => {
    const opened = await open();
    const connections = async () =>
      String(await redis.command("CLIENT", "LIST"))
        .trim()
        .split("\n").length - 1;
    opened.consume(handlers, 4);
    await opened.doorbell.ringThread("t");
    await until(() => heard.includes("t"), "heard");
    expect(await connections()).toBe(5);
    await opened.close();
    await sleep(100);
    expect(await connections()).toBe(0);
  });
});
