import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { LiveSignal } from "../../core/ports.ts";
import { decode, encode, memoryLive, type OpenLive } from "../../queue/live.ts";
import { postgresLive } from "../../queue/live-postgres.ts";
import { redisLive } from "../../queue/live-redis.ts";
import { redisServer, startTempRedis } from "../support/redis.ts";
import { describeWith, type Requirement } from "../support/suite.ts";
import { postgresServer, startRestartablePostgres } from "./postgres.ts";
import { recordedLog, until } from "./recorded.ts";

interface LiveServer {
  /** How another process would open it; memory has no other process. */
  open(): OpenLive;
  shared: boolean;
  restart(): Promise<void>;
  close(): Promise<void>;
}

const recorded = recordedLog();
const none: Requirement = { name: "nothing", available: true, install: "" };

function liveSuite(title: string, requirement: Requirement, startServer: () => Promise<LiveServer>): void {
  describeWith(requirement, title, () => {
    let server: LiveServer;
    const opened: OpenLive[] = [];

    beforeAll(async () => {
      server = await startServer();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((live) => live.close()));
    });
    afterAll(() => server?.close());

    /** Two ends that hear each other: the same one in memory, two processes' worth elsewhere. */
    async function pair(): Promise<{ here: OpenLive; there: OpenLive; heard: LiveSignal[] }> {
      const here = server.open();
      const there = server.shared ? server.open() : here;
      opened.push(...new Set([here, there]));
      const heard: LiveSignal[] = [];
      there.subscribe((signal) => void heard.push(signal));
      await connected(here, heard);
      return { here, there, heard };
    }
    async function connected(from: OpenLive, heard: LiveSignal[]): Promise<void> {
      for (let i = 0; heard.length === 0 && i < 200; i += 1) {
        from.publish({ threadId: `hello-${i}`, kind: "changed" });
        await sleep(50);
      }
      expect(heard.length).toBeGreaterThan(0);
      await sleep(100);
      heard.length = 0;
    }

    it("passes a signal on, here and elsewhere, once", async () => {
      const { here, heard } = await pair();
      const own: LiveSignal[] = [];
      here.subscribe((signal) => void own.push(signal));
      here.publish({ threadId: "t", kind: "partial", text: "Good mor" });
      here.publish({ threadId: "t", kind: "changed" });
      await until(() => heard.length === 2, "both");
      await sleep(150);

      const both = [
        { threadId: "t", kind: "partial", text: "Good mor" },
        { threadId: "t", kind: "changed" },
      ];
      expect(heard).toEqual(both);
      expect(own).toEqual(both);
    });

    it("thins a stream of partial texts out, and ends with the last", async () => {
      const { here, heard } = await pair();
      for (let i = 1; i <= 40; i += 1) {
        here.publish({ threadId: "t", kind: "partial", text: "x".repeat(i) });
        await sleep(10);
      }
      await until(() => heard.at(-1)?.text?.length === 40, "the last text");

      expect(heard.length).toBeGreaterThan(2);
      expect(heard.length).toBeLessThan(12);
    });

    it("makes one or two of many changes at once, for each thread", async () => {
      const { here, heard } = await pair();
      for (let i = 0; i < 100; i += 1) here.publish({ threadId: i % 2 ? "a" : "b", kind: "changed" });
      await until(() => heard.length >= 4, "two of each");
      await sleep(150);

      expect(heard.map((signal) => signal.threadId).toSorted()).toEqual(["a", "a", "b", "b"]);
    });

    it("does not show a partial text after the change that came of it", async () => {
      const { here, heard } = await pair();
      here.publish({ threadId: "t", kind: "partial", text: "1" });
      here.publish({ threadId: "t", kind: "partial", text: "12" });
      here.publish({ threadId: "t", kind: "changed" });
      await sleep(300);

      expect(heard.map((signal) => signal.kind)).toEqual(["partial", "changed"]);
    });

    it("passes a very long text on, whole or its end", async () => {
      const { here, heard } = await pair();
      const text = `${"ä🙂\n".repeat(4_000)}the end`;
      here.publish({ threadId: "t", kind: "partial", text });
      await until(() => heard.length === 1, "the text");

      const [signal] = heard;
      expect(text.endsWith(signal?.text ?? "nothing")).toBe(true);
      expect(signal?.text).toMatch(/the end$/);
      expect(signal?.cut === true).toBe(signal?.text !== text);
    });

    it("goes on for the others when a listener throws, and stops for one that unsubscribed", async () => {
      const { here, there, heard } = await pair();
      const gone: LiveSignal[] = [];
      const unsubscribe = there.subscribe((signal) => void gone.push(signal));
      there.subscribe(() => {
        throw new Error("a listener fails");
      });
      const late: LiveSignal[] = [];
      there.subscribe((signal) => void late.push(signal));
      unsubscribe();
      here.publish({ threadId: "t", kind: "changed" });
      await until(() => late.length === 1, "the last listener");

      expect(heard).toHaveLength(1);
      expect(gone).toEqual([]);
    });

    it("never throws while the server is away, tells its own process all the same, and comes back", async () => {
      const { here, heard } = await pair();
      const own: LiveSignal[] = [];
      here.subscribe((signal) => void own.push(signal));
      const restarting = server.restart();
      for (let i = 0; i < 20; i += 1) {
        here.publish({ threadId: `away-${i}`, kind: "changed" });
        await sleep(20);
      }
      await restarting;
      expect(own).toHaveLength(20);

      const before = heard.length;
      for (let i = 0; heard.length === before && i < 200; i += 1) {
        here.publish({ threadId: `back-${i}`, kind: "changed" });
        await sleep(50);
      }
      expect(heard.at(-1)?.threadId).toMatch(server.shared ? /^back-/ : /^(away|back)-/);
    });
  });
}

liveSuite("live signals in one process", none, async () => ({
  open: () => memoryLive(recorded.log),
  shared: false,
  restart: async () => {},
  close: async () => {},
}));

liveSuite("live signals over Redis", redisServer, async () => {
  const redis = await startTempRedis();
  return {
    open: () => redisLive(redis.url, recorded.log),
    shared: true,
    restart: () => redis.stop().then(redis.start),
    close: redis.close,
  };
});

liveSuite("live signals over Postgres", postgresServer, async () => {
  const postgres = await startRestartablePostgres();
  return {
    open: () => postgresLive(postgres.url, recorded.log),
    shared: true,
    restart: () => postgres.stop().then(postgres.start),
    close: postgres.close,
  };
});

describe("a live payload", () => {
  it("never grows past the limit, keeps a text's end, and is read back as it was", () => {
    const signal: LiveSignal = { threadId: "t", kind: "partial", text: `${'"\u0001🙂'.repeat(5_000)}end` };
    const payload = encode(signal, "here", 7_900) ?? "";
    expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(7_900);
    const read = decode(payload, "elsewhere");
    expect(read).toMatchObject({ threadId: "t", kind: "partial", cut: true });
    expect(signal.text?.endsWith(read?.text ?? "nothing")).toBe(true);
    expect(read?.text?.isWellFormed()).toBe(true);
    expect(encode({ threadId: "x".repeat(9_000), kind: "changed" }, "here", 7_900)).toBeNull();
  });

  it("is ignored when it is this process's own, or not one at all", () => {
    const own = encode({ threadId: "t", kind: "changed" }, "here", 7_900) ?? "";
    expect(decode(own, "here")).toBeNull();
    expect(decode(own, "elsewhere")).toEqual({ threadId: "t", kind: "changed" });
    for (const junk of ["", "{", "null", "[]", '{"origin":"x","threadId":"t","kind":"other"}']) {
      expect(decode(junk, "here")).toBeNull();
    }
  });
});
