import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ids } from "../../gateway/ids.ts";
import type { Place } from "../../store/keyset.ts";
import { type Listing, listing } from "../../store/listing.ts";
import { threadLog } from "../../store/log.ts";
import { commitOn, newThread, outboxEntry, stepDecided } from "../gateway/http/seeding.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let db: TestDatabase;
let list: Listing;
let log: ReturnType<typeof threadLog>;
beforeAll(async () => {
  db = await testDatabase();
  list = listing(db.database);
  log = threadLog(db.database);
});
afterAll(() => db.close());

/** Reads to the end, and does something between two pages. */
async function readAll<T>(
  read: (after: Place | null) => Promise<{ items: T[]; next: Place | null }>,
  between: () => Promise<unknown> = async () => {},
): Promise<T[]> {
  const all: T[] = [];
  let after: Place | null = null;
  do {
    const { items, next }: { items: T[]; next: Place | null } = await read(after);
    all.push(...items);
    after = next;
    await between();
  } while (after !== null);
  return all;
}

describe("threads", () => {
  it("appear once each, although rows share their time to the millisecond and others are added meanwhile", async () => {
    const made: string[] = [];
    for (let index = 0; index < 9; index++) made.push(await newThread(log));
    await db.database.run({
      text: "update threads set updated_at = '2026-01-01T00:00:00.123Z'::timestamptz + (random() * 3)::int * interval '1 microsecond'",
    });
    const read = (after: Place | null) => list.threads({ status: null, agent: null, after, limit: 2 });
    const seen = (await readAll(read, () => newThread(log))).map(({ id }) => id);

    expect(seen).toHaveLength(9);
    expect([...seen].sort()).toEqual([...made].sort());
  });

  it("are filtered by status and agent", async () => {
    const id = await newThread(log);
    await db.database.run({
      text: "update threads set status = 'paused', agent = 'other' where id = $1",
      values: [id],
    });
    const found = await list.threads({ status: "paused", agent: "other", after: null, limit: 5 });

    expect(found.items.map((thread) => thread.id)).toEqual([id]);
    expect((await list.threads({ status: "done", agent: "other", after: null, limit: 5 })).items).toEqual([]);
  });

  it("show where they are at home, what they wait for and what they cost", async () => {
    const id = await newThread(log, "first line\nsecond");
    const thread = await list.thread(id);

    expect(thread).toMatchObject({
      title: "first line",
      seq: 2,
      waitingFor: [],
      spend: { tokens: 0, usd: 0 },
    });
    expect(thread?.home).toMatchObject({ channel: "web", room: "console" });
    expect(thread?.updatedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(await list.thread(ids.next())).toBeNull();
  });
});

describe("events", () => {
  it("come behind a position, with the log's end; null without a thread", async () => {
    const threadId = await newThread(log);

    expect(await list.events({ threadId, after: 1, limit: 10 })).toMatchObject({
      end: 2,
      events: [{ seq: 2 }],
    });
    expect(await list.events({ threadId, after: 2, limit: 10 })).toEqual({ end: 2, events: [] });
    expect(await list.events({ threadId: ids.next(), after: 0, limit: 10 })).toBeNull();
  });

  it("tell the versions of many threads at once", async () => {
    const [one, two] = [await newThread(log), await newThread(log)];
    const versions = await list.versions([one, two, ids.next()]);

    expect([...versions].sort()).toEqual([[one, 2] as const, [two, 2] as const].sort());
  });
});

describe("model calls", () => {
  it("come oldest first, each once, from one commit too", async () => {
    const threadId = await newThread(log);
    const runId = ids.next();
    const calls = Array.from({ length: 5 }, (_, index) => ({
      modelCallId: ids.next(),
      runId,
      stepId: null,
      agent: "helper",
      person: null,
      correlationId: "c",
      outcome: "ok",
      model: `model ${index}`,
      stage: "primary" as const,
      promptVersion: "1",
      promptHash: "h",
      inputTokens: 10,
      outputTokens: 2,
      costUsd: index === 0 ? null : 0.25,
      latencyMs: 12.5,
    }));
    await commitOn(log, threadId, { events: [], modelCalls: calls });
    const seen = await readAll((after) => list.modelCalls({ threadId, after, limit: 2 }));

    expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(calls.map(({ modelCallId }) => modelCallId)));
    expect(seen).toHaveLength(5);
    expect(seen.find(({ model }) => model === "model 0")).toMatchObject({
      costUsd: null,
      latencyMs: 12.5,
      threadId,
    });
  });
});

describe("deliveries", () => {
  it("come newest first, each once, filtered by status and thread", async () => {
    const threadId = await newThread(log);
    const outbox = Array.from({ length: 5 }, () => outboxEntry(threadId));
    await commitOn(log, threadId, {
      events: [stepDecided(ids.next(), 2, { type: "reply", text: "hi" })],
      outbox,
    });
    const read = (after: Place | null) => list.deliveries({ status: "pending", threadId, after, limit: 2 });
    const seen = await readAll(read);

    expect(seen.map(({ id }) => id).sort()).toEqual(outbox.map(({ outboxId }) => outboxId).sort());
    expect(seen[0]).toMatchObject({ attempts: 0, receipt: null, content: { text: "hi" }, kind: "reply" });
    expect((await list.deliveries({ status: "failed", threadId, after: null, limit: 2 })).items).toEqual([]);
    expect(await list.delivery(ids.next())).toBeNull();
  });
});
