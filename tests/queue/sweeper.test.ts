import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Doorbell } from "../../core/ports.ts";
import { openQueue } from "../../queue/queue.ts";
import { type Sweeper, type SweepSource, startSweeper } from "../../queue/sweeper.ts";
import { redisServer, startTempRedis } from "../support/redis.ts";
import { describeWith } from "../support/suite.ts";
import { elapsedMs, gate, recordedLog, until } from "./recorded.ts";

let sweeper: Sweeper | undefined;
const recorded = recordedLog();
const nobody = async (): Promise<string[]> => [];
const still: SweepSource = { lostThreads: nobody, lostDeliveries: nobody, dueTimers: nobody };

function listeningDoorbell(): Doorbell & { rings: string[] } {
  const rings: string[] = [];
  return {
    rings,
    ringThread: async (id) => void rings.push(`thread ${id}`),
    ringDelivery: async (id) => void rings.push(`delivery ${id}`),
    ringTimer: async (id, delayMs) => void rings.push(`timer ${id} ${delayMs}`),
  };
}

beforeEach(() => {
  recorded.lines.length = 0;
});
afterEach(() => sweeper?.stop());

const start = (source: Partial<SweepSource>, doorbell: Doorbell, intervalMs = 10): Sweeper => {
  sweeper = startSweeper({ source: { ...still, ...source }, doorbell, intervalMs, log: recorded.log });
  return sweeper;
};

it("rings for what is lost, of every kind, once within its spacing", async () => {
  const doorbell = listeningDoorbell();
  let passes = 0;
  start(
    {
      lostThreads: async () => {
        passes += 1;
        return ["same"];
      },
      lostDeliveries: async () => ["same"],
      dueTimers: async () => ["same"],
    },
    doorbell,
  );
  await until(() => passes > 10, "ten passes");

  expect(doorbell.rings).toEqual(["thread same", "delivery same", "timer same 0"]);
});

it("rings again and again for what stays undone, five seconds apart", async () => {
  const doorbell = listeningDoorbell();
  start({ lostThreads: async () => ["stubborn"] }, doorbell);
  await until(() => doorbell.rings.length === 1, "first ring");
  const secondAfterMs = await elapsedMs(() => until(() => doorbell.rings.length === 2, "second ring", 8_000));

  expect(secondAfterMs).toBeGreaterThan(4_900);
});

it("asks for a bounded number, and rings for no more than it asked", async () => {
  const doorbell = listeningDoorbell();
  const asked = new Set<number>();
  let passes = 0;
  start(
    {
      lostThreads: async (limit) => {
        asked.add(limit);
        passes += 1;
        return Array.from({ length: limit * 3 }, (_, i) => `t${i}`);
      },
    },
    doorbell,
  );
  await until(() => passes > 3, "three passes");

  expect([...asked]).toEqual([200]);
  expect(doorbell.rings).toHaveLength(200);
});

it("never lets two passes overlap, and waits for the last when it is stopped", async () => {
  const hold = gate();
  let begun = 0;
  let ended = 0;
  const started = start(
    {
      dueTimers: async () => {
        begun += 1;
        await hold.opened;
        ended += 1;
        return [];
      },
    },
    listeningDoorbell(),
  );
  await until(() => begun === 1, "first pass");
  await sleep(100);
  expect(begun).toBe(1);

  let stopped = false;
  const stopping = started.stop().then(() => {
    stopped = true;
  });
  await sleep(50);
  expect(stopped).toBe(false);
  hold.open();
  await stopping;
  expect({ begun, ended }).toEqual({ begun: 1, ended: 1 });
});

it("backs off while the database fails, and tells when that begins and when it ends", async () => {
  let asked = 0;
  let down = true;
  start(
    {
      lostThreads: async () => {
        asked += 1;
        if (down) throw new Error("the database is away");
        return [];
      },
    },
    listeningDoorbell(),
  );
  await sleep(600);
  expect(asked).toBeGreaterThan(1);
  expect(asked).toBeLessThan(20);
  down = false;
  await until(() => recorded.of("sweeper.recovered").length === 1, "recovery");

  expect(recorded.lines.map((line) => line.event)).toEqual(["sweeper.failing", "sweeper.recovered"]);
});

it("goes on with the others when one ring is refused", async () => {
  const doorbell = listeningDoorbell();
  const refusing: Doorbell = {
    ...doorbell,
    ringThread: async (id) => {
      if (id === "bad") throw new Error("refused");
      await doorbell.ringThread(id);
    },
  };
  start({ lostThreads: async () => ["bad", "good"], dueTimers: async () => ["x"] }, refusing);
  await until(() => doorbell.rings.length === 2, "both others");

  expect(doorbell.rings).toEqual(["thread good", "timer x 0"]);
});

describeWith(redisServer, "the sweeper with a real queue", () => {
  it("has everything heard that was lost while Redis was away", async () => {
    const redis = await startTempRedis();
    const queue = await openQueue({ kind: "redis", url: redis.url }, { log: recorded.log });
    const undone = new Set(Array.from({ length: 50 }, (_, i) => `t${i}`));
    const thread = async (id: string) => void undone.delete(id);
    queue.consume({ thread, delivery: thread, timer: thread }, 8);
    try {
      await redis.stop();
      start({ lostThreads: async (limit) => [...undone].slice(0, limit) }, queue.doorbell, 200);
      await sleep(1_000);
      expect(undone.size).toBe(50);
      await redis.start();
      await until(() => undone.size === 0, "all heard", 20_000);
    } finally {
      await sweeper?.stop();
      await queue.close();
      await redis.close();
    }
  });
});
