import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InboundEvent } from "../../channels/channel.ts";
import { emptyThread } from "../../core/thread.ts";
import { ids } from "../../gateway/ids.ts";
import { checkedText, createIngest, fitted, type IngestDeps } from "../../gateway/ingest.ts";
import { threadLog } from "../../store/log.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { directLive } from "./http/serving.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.close());

function ingesting(change: Partial<IngestDeps> = {}) {
  const counts: string[] = [];
  const rung: string[] = [];
  const log = threadLog(db.database);
  const ingest = createIngest({
    log,
    doorbell: {
      ringThread: async (id) => void rung.push(id),
      ringDelivery: async () => {},
      ringTimer: async () => {},
    },
    live: directLive(),
    ids,
    gate: (_kind, { identity }) =>
      identity === "stranger" ? { allowed: false, reason: "not here" } : { allowed: true },
    route: ({ text }) => (text.includes("refund") ? "support" : "deploybot"),
    limits: { messageCharacters: 200 },
    metrics: {
      accepted: (channel) => void counts.push(`accepted ${channel}`),
      deduped: (channel) => void counts.push(`deduped ${channel}`),
      refused: (channel) => void counts.push(`refused ${channel}`),
    },
    logger: () => {},
    ...change,
  });
  return { ingest, counts, rung, log };
}

function inbound(change: Partial<InboundEvent> & { identity?: string } = {}): InboundEvent {
  const { identity = "U1", ...rest } = change;
  const binding = { channel: "slack", account: "T1", room: "C1", anchor: ids.next() };
  const sender = {
    channel: "slack",
    account: "T1",
    identity,
    name: "Ann",
    kind: "human",
    assurance: "signed",
  } as const;
  return {
    kind: "message",
    binding,
    dedupeKey: ids.next(),
    messageId: "m",
    sender,
    text: "hello",
    attachments: [],
    ...rest,
  };
}

const threadOf = async (event: InboundEvent) =>
  (
    await db.database.run({
      text: "select thread_id as id, (select count(*)::int from events e where e.thread_id = b.thread_id) as events from bindings b where anchor = $1",
      values: [event.binding.anchor],
    })
  )[0];

describe("a channel's message", () => {
  it("founds a thread with the routed agent, answers where it came from, and rings", async () => {
    const { ingest, log, rung } = ingesting();
    const event = inbound({ text: "a refund please" });
    await ingest.accept(event);
    const thread = await threadOf(event);
    const state = await log.catchUp(String(thread?.id), emptyThread);

    expect(state).toMatchObject({ agent: "support", home: event.binding, latest: { via: event.binding } });
    expect(state.latest?.correlationId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(rung).toEqual([thread?.id]);
  });

  it("is stored once however often it is redelivered", async () => {
    const { ingest, counts } = ingesting();
    const event = inbound();
    await Promise.all(Array.from({ length: 10 }, () => ingest.accept(event)));

    expect((await threadOf(event))?.events).toBe(2);
    expect(counts.sort()).toEqual(["accepted slack", ...Array(9).fill("deduped slack")]);
  });

  it("of a sender who is not heard is acknowledged, counted, and not stored", async () => {
    const { ingest, counts, rung } = ingesting();
    const event = inbound({ identity: "stranger" });
    await ingest.accept(event);

    expect(await threadOf(event)).toBeUndefined();
    expect([counts, rung]).toEqual([["refused slack"], []]);
  });

  it("is not acknowledged when it could not be stored", async () => {
    const failing = { ...threadLog(db.database), accept: () => Promise.reject(new Error("away")) };

    await expect(ingesting({ log: failing }).ingest.accept(inbound())).rejects.toThrow("away");
  });

  it("rings only after it was stored", async () => {
    const order: string[] = [];
    const stored = threadLog(db.database);
    const { ingest } = ingesting({
      log: {
        ...stored,
        accept: async (request) => stored.accept(request).finally(() => order.push("stored")),
      },
      doorbell: {
        ringThread: async () => void order.push("rung"),
        ringDelivery: async () => {},
        ringTimer: async () => {},
      },
    });
    await ingest.accept(inbound());

    expect(order).toEqual(["stored", "rung"]);
  });

  it("carries the person whom the identity belongs to", async () => {
    const { ingest, log } = ingesting({ recognize: (sender) => ({ ...sender, person: "ann" }) });
    const event = inbound();
    await ingest.accept(event);
    const state = await log.catchUp(String((await threadOf(event))?.id), emptyThread);

    expect(state.latest?.sender.person).toBe("ann");
  });
});

describe("text that is too long", () => {
  it("is cut for a channel, and says so for everybody to see", () => {
    const cut = fitted(`${"x".repeat(150)}👩${"y".repeat(500)}`, 200);

    expect(cut.length).toBeLessThanOrEqual(200);
    expect(cut).toMatch(/\[Cut here: the message had 652 characters, and at most 200 are taken\.\]$/);
    expect(fitted("x".repeat(200), 200)).toBe("x".repeat(200));
  });

  it("is never cut within a character", () => {
    for (let length = 100; length < 130; length++) {
      const cut = fitted(`${"x".repeat(length)}${"👩".repeat(100)}`, 200);
      expect(cut.isWellFormed()).toBe(true);
      expect(cut).not.toContain("\ufffd");
    }
  });

  it("is refused for the API", () => {
    expect(() => checkedText("x".repeat(201), 200)).toThrow(/201 characters/);
    expect(checkedText("x".repeat(200), 200)).toHaveLength(200);
  });
});
