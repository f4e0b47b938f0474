/** What every backend of the queue must do; redis.test.ts and postgres.test.ts run it and add what is their own. */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Handlers } from "../../queue/consumer.ts";
import { openQueue, type Queue, type QueueServer } from "../../queue/queue.ts";
import { describeWith, type Requirement } from "../support/suite.ts";
import { elapsedMs, gate, recordedLog, until } from "./recorded.ts";

/** A server that can go away and come back at the same address. */
export interface TestServer {
  server: QueueServer;
  start(): Promise<void>;
  stop(): Promise<void>;
  close(): Promise<void>;
}

const nothing = async (): Promise<void> => {};

export function queueSuite(
  title: string,
  requirement: Requirement,
  startServer: () => Promise<TestServer>,
): void {
  describeWith(requirement, title, () => {
    let test: TestServer;
    let queue: Queue;
    let prefix = "";
    let count = 0;
    const recorded = recordedLog();

    beforeAll(async () => {
      test = await startServer();
    });
    afterAll(() => test?.close());
    beforeEach(async () => {
      count += 1;
      prefix = `test${count}`;
      recorded.lines.length = 0;
      queue = await openQueue(test.server, { prefix, log: recorded.log });
    });
    afterEach(() => queue.close());

    /** Starts to hear; resolves when a first ring has been heard, so that later ones are heard at once. */
    async function consume(handlers: Partial<Handlers>, concurrency = 4, on = queue) {
      let ready = false;
      const timer: Handlers["timer"] = async (id, signal) => {
        if (id === "ready") ready = true;
        else await handlers.timer?.(id, signal);
      };
      const consumer = on.consume({ thread: nothing, delivery: nothing, ...handlers, timer }, concurrency);
      await on.doorbell.ringTimer("ready", 0);
      await until(() => ready, "consumer ready", 10_000);
      return consumer;
    }

    it("lets each ring be heard once, by the handler of its kind", async () => {
      const heard: string[] = [];
      await consume({
        thread: async (id) => void heard.push(`thread ${id}`),
        delivery: async (id) => void heard.push(`delivery ${id}`),
        timer: async (id) => void heard.push(`timer ${id}`),
      });

      await queue.doorbell.ringThread("a");
      await queue.doorbell.ringDelivery("a");
      await queue.doorbell.ringTimer("a", 0);
      await until(() => heard.length === 3, "three rings");
      await sleep(300);

      expect(heard.toSorted()).toEqual(["delivery a", "thread a", "timer a"]);
      expect(queue.ringCounts()).toEqual({ rung: 4, failed: 0 });
    });

    it("makes at most two more runs of 1,000 rings during one", async () => {
      const first = gate();
      let runs = 0;
      await consume({
        thread: async () => {
          runs += 1;
          await first.opened;
        },
      });
      await queue.doorbell.ringThread("busy");
      await until(() => runs === 1, "first run");

      for (let i = 0; i < 10; i += 1) {
        await Promise.all(Array.from({ length: 100 }, () => queue.doorbell.ringThread("busy")));
      }
      expect(runs).toBe(1);
      first.open();
      await until(() => runs >= 2, "the run that the rings asked for");
      await sleep(500);

      expect(queue.ringCounts().failed).toBe(0);
      expect(runs).toBeLessThanOrEqual(3);
    });

    it("never loses the last ring, whenever it comes around a handler's end", async () => {
      const written = new Map<string, number>();
      const seen = new Map<string, number>();
      await consume(
        {
          thread: async (id) => {
            seen.set(id, written.get(id) ?? 0);
            await sleep(Math.random() * 4);
          },
        },
        8,
      );
      let threads = 0;

      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 2, maxLength: 5 }),
          async (pauses) => {
            threads += 1;
            const id = `race-${threads}`;
            for (const [index, pauseMs] of pauses.entries()) {
              written.set(id, index + 1);
              await queue.doorbell.ringThread(id);
              await sleep(pauseMs);
            }
            await until(() => seen.get(id) === pauses.length, `the last ring of ${id}`, 3_000);
          },
        ),
        { numRuns: 200, endOnFailure: true },
      );
      expect(recorded.of("queue.ring_failed")).toEqual([]);
    }, 60_000);

    it("runs different threads at the same time, up to the limit", async () => {
      const hold = gate();
      let running = 0;
      let most = 0;
      const heard = new Set<string>();
      await consume(
        {
          thread: async (id) => {
            running += 1;
            most = Math.max(most, running);
            await hold.opened;
            running -= 1;
            heard.add(id);
          },
        },
        3,
      );

      await Promise.all(Array.from({ length: 7 }, (_, i) => queue.doorbell.ringThread(`t${i}`)));
      await until(() => running === 3, "three at once");
      await sleep(200);
      expect(running).toBe(3);
      hold.open();
      await until(() => heard.size === 7, "all seven");

      expect(most).toBe(3);
    });

    it("does not repeat a handler that throws, logs it, and hears the next ring", async () => {
      let runs = 0;
      await consume({
        thread: async () => {
          runs += 1;
          if (runs === 1) throw new Error("the first run fails");
        },
      });

      await queue.doorbell.ringThread("t");
      await until(() => runs === 1, "first run");
      await sleep(500);
      expect(runs).toBe(1);
      await queue.doorbell.ringThread("t");
      await until(() => runs === 2, "second run");

      expect(recorded.of("queue.handler_failed")).toEqual([
        {
          level: "error",
          event: "queue.handler_failed",
          fields: { kind: "threads", id: "t", error: "the first run fails" },
        },
      ]);
    });

    it("lets another consumer hear what a killed one was doing, within 20 s", async () => {
      const script = new URL("hanging-consumer.ts", import.meta.url).pathname;
      const victim = spawn(process.execPath, [script, JSON.stringify(test.server), prefix], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let output = "";
      victim.stdout.on("data", (chunk) => {
        output += String(chunk);
      });
      await until(() => output.includes("listening"), "the victim listens", 15_000);
      await queue.doorbell.ringThread("orphan");
      await until(() => output.includes("heard orphan"), "the victim hears", 10_000);
      victim.kill("SIGKILL");

      const heard: string[] = [];
      await consume({ thread: async (id) => void heard.push(id) });
      await queue.doorbell.ringThread("orphan");
      await until(() => heard.includes("orphan"), "the orphan is heard", 20_000);
    }, 60_000);

    it("hears a delayed ring at its time, and neither it nor a ring for now swallows the other", async () => {
      const heard: { id: string; afterMs: number }[] = [];
      const startedAt = Date.now();
      const note = async (id: string) => void heard.push({ id, afterMs: Date.now() - startedAt });
      await consume({ delivery: note, timer: note });
      const rungAt = Date.now() - startedAt;

      await queue.doorbell.ringDelivery("d", 1_500);
      await queue.doorbell.ringDelivery("d", 1_500);
      await queue.doorbell.ringDelivery("d", 700);
      await queue.doorbell.ringDelivery("d");
      await queue.doorbell.ringTimer("x", 1_000);
      await queue.doorbell.ringTimer("x", 0);
      await until(() => heard.length >= 5, "five rings", 10_000);
      await sleep(600);

      const delays = (id: string) =>
        heard.filter((ring) => ring.id === id).map((ring) => ring.afterMs - rungAt);
      const [now, early, late, ...more] = delays("d");
      expect(now).toBeLessThan(500);
      expect(early).toBeGreaterThanOrEqual(695);
      expect(early).toBeLessThan(2_500);
      expect(late).toBeGreaterThanOrEqual(1_495);
      expect(more.length).toBeLessThanOrEqual(1);
      expect(delays("x")[0]).toBeLessThan(500);
      expect(delays("x")[1]).toBeGreaterThanOrEqual(995);
    });

    it("hears a short delay on time while a long one waits", async () => {
      const heard: string[] = [];
      await consume({ timer: async (id) => void heard.push(id) });
      await queue.doorbell.ringTimer("in an hour", 3_600_000);
      await sleep(300);

      const waitedMs = await elapsedMs(async () => {
        await queue.doorbell.ringTimer("soon", 500);
        await until(() => heard.includes("soon"), "soon", 10_000);
      });

      expect(waitedMs).toBeGreaterThanOrEqual(495);
      expect(waitedMs).toBeLessThan(1_200);
      expect(heard).not.toContain("in an hour");
    });

    it("closes gracefully: a running handler finishes within the grace, without an aborted signal", async () => {
      const end: { aborted?: boolean } = {};
      let begun = false;
      const consumer = await consume({
        thread: async (_id, signal) => {
          begun = true;
          await sleep(400);
          end.aborted = signal.aborted;
        },
      });
      await queue.doorbell.ringThread("t");
      await until(() => begun, "handler begins");

      const closedMs = await elapsedMs(() => consumer.close(5_000));

      expect(end).toEqual({ aborted: false });
      expect(closedMs).toBeLessThan(2_000);
    });

    it("aborts the signal at the end of the grace, and what was cut short is heard elsewhere", async () => {
      let abortedAfterMs = 0;
      let begunAt = 0;
      const consumer = await consume({
        thread: async (_id, signal) => {
          begunAt = performance.now();
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          abortedAfterMs = performance.now() - begunAt;
        },
      });
      await queue.doorbell.ringThread("cut");
      await until(() => begunAt > 0, "handler begins");
      const other = await openQueue(test.server, { prefix, log: recorded.log });
      const heard: string[] = [];

      const closedMs = await elapsedMs(() => consumer.close(600));
      await consume({ thread: async (id) => void heard.push(id) }, 4, other);
      await until(() => heard.includes("cut"), "heard elsewhere");
      await other.close();

      expect(abortedAfterMs).toBeGreaterThanOrEqual(595);
      expect(closedMs).toBeLessThan(1_600);
    });

    it("leaves a handler behind that ignores its signal", async () => {
      let begun = false;
      const consumer = await consume({
        thread: () => {
          begun = true;
          return new Promise(() => {});
        },
      });
      await queue.doorbell.ringThread("stuck");
      await until(() => begun, "handler begins");

      expect(await elapsedMs(() => consumer.close(200))).toBeLessThan(2_300);
    });

    it("tells how much waits and for how long", async () => {
      expect(await queue.depth()).toEqual({ waiting: 0, active: 0, oldestMs: 0 });
      await queue.doorbell.ringThread("a");
      await sleep(300);
      await queue.doorbell.ringThread("b");
      await queue.doorbell.ringDelivery("a");

      const depth = await queue.depth();
      expect(depth).toMatchObject({ waiting: 3, active: 0 });
      expect(depth.oldestMs).toBeGreaterThanOrEqual(300);
      expect(depth.oldestMs).toBeLessThan(5_000);

      const heard: string[] = [];
      await consume({ thread: async (id) => void heard.push(id) });
      await until(() => heard.length === 2, "both");
    });

    it("rings without waiting or throwing while the server is away, and is heard again once it is back", async () => {
      const heard: string[] = [];
      await consume({ thread: async (id) => void heard.push(id) });
      await test.stop();
      try {
        for (const id of ["x", "y", "z"]) {
          expect(await elapsedMs(() => queue.doorbell.ringThread(id))).toBeLessThan(1_000);
        }
        expect(queue.ringCounts().failed).toBe(3);
        expect(recorded.of("queue.ring_failed")).toHaveLength(1);
        await expect(queue.depth()).rejects.toThrow();
        await sleep(1_000);
      } finally {
        await test.start();
      }

      for (let i = 0; !heard.includes("back") && i < 40; i += 1) {
        await queue.doorbell.ringThread("back");
        await sleep(500);
      }
      expect(heard).toContain("back");
      const again = await elapsedMs(async () => {
        await queue.doorbell.ringThread("again");
        await until(() => heard.includes("again"), "again");
      });
      expect(again).toBeLessThan(2_000);
    }, 60_000);

    it("closes within its bounds while the server is away", async () => {
      const consumer = await consume({});
      await test.stop();
      try {
        expect(await elapsedMs(() => consumer.close(500))).toBeLessThan(3_000);
        expect(await elapsedMs(() => queue.close())).toBeLessThan(8_000);
      } finally {
        await test.start();
      }
    }, 60_000);
  });
}
