import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Channel } from "../../channels/channel.ts";
import { type DeliveryParts, deliverer } from "../../gateway/deliver.ts";
import { ids } from "../../gateway/ids.ts";
import { outbox } from "../../store/outbox.ts";
import type { Database } from "../../store/postgres.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { type FakeChannel, type FakeChannelOptions, fakeChannel } from "../support/fake-channel.ts";
import { notedDoorbell, until } from "../support/loop.ts";

let db: TestDatabase;
const statements: string[] = [];
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.close());

interface Stage {
  channel: FakeChannel;
  parts: DeliveryParts;
  threadId: string;
  bells: ReturnType<typeof notedDoorbell>;
  outcomes: string[];
  deliver(stop?: AbortSignal): Promise<void>;
  /** Puts a message in line; gives its id. */
  promise(text: string, room?: string): Promise<string>;
  row(id: string): Promise<Record<string, unknown>>;
  /** As if the time until the next attempt, or of a claim, had passed. */
  passTime(): Promise<void>;
}

async function stage(options: FakeChannelOptions = {}, changed: Partial<DeliveryParts> = {}): Promise<Stage> {
  const channel = fakeChannel(options);
  const threadId = ids.next();
  const bells = notedDoorbell();
  const outcomes: string[] = [];
  const database: Database = {
    run: (statement) => {
      statements.push(statement.name ?? "");
      return db.database.run(statement);
    },
    close: async () => {},
  };
  await db.database.run({ text: "insert into threads (id, agent) values ($1, 'a')", values: [threadId] });
  const parts: DeliveryParts = {
    outbox: outbox(database),
    channels: new Map<string, Channel>([[channel.name, channel]]),
    doorbell: bells,
    ids,
    logger: () => {},
    maxAttempts: 4,
    firstRetryMs: 1_000,
    longestRetryMs: 60_000,
    sendTimeoutMs: 1_000,
    observe: ({ outcome }) => void outcomes.push(outcome),
    ...changed,
  };
  const { deliverThread } = deliverer(parts);
  return {
    channel,
    parts,
    threadId,
    bells,
    outcomes,
    deliver: (stop = new AbortController().signal) => deliverThread(threadId, stop),
    async promise(text, room = "room") {
      const id = ids.next();
      await db.database.run({
        text: `insert into outbox (id, thread_id, kind, channel, account, room, anchor, content)
               values ($1, $2, 'reply', 'fake', '', $3, '', $4)`,
        values: [id, threadId, room, JSON.stringify({ text })],
      });
      return id;
    },
    async row(id) {
      const [row] = await db.database.run({
        text: "select status, attempts, receipt, error, ambiguous from outbox where id = $1",
        values: [id],
      });
      return row ?? {};
    },
    async passTime() {
      await db.database.run({
        text: `update outbox set next_attempt_at = least(next_attempt_at, now()),
                 claim_until = claim_until - interval '1 hour' where thread_id = $1`,
        values: [threadId],
      });
    },
  };
}

describe("a message that the platform takes", () => {
  it("is sent once, with its receipt, in three statements", async () => {
    const { deliver, promise, row, channel, outcomes } = await stage();
    const id = await promise("hello");
    statements.length = 0;
    await deliver();
    await deliver();

    expect(statements.slice(0, 3)).toEqual(["outbox_claim", "outbox_record", "outbox_next_due"]);
    expect(channel.placed).toMatchObject([{ deliveryId: id, text: "hello" }]);
    expect(await row(id)).toMatchObject({ status: "sent", attempts: 1, receipt: "m1" });
    expect(outcomes).toEqual(["sent"]);
  });

  it("comes before the next of its thread, also when ten workers deliver at once", async () => {
    const { deliver, promise, channel } = await stage();
    for (let index = 0; index < 8; index++) await promise(`${index}`);
    await Promise.all(Array.from({ length: 10 }, () => deliver()));
    await until(async () => {
      await deliver();
      return channel.placed.length === 8;
    });
    expect(channel.placed.map(({ text }) => text)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
  });
});

describe("a message that the platform refuses", () => {
  it("for now waits, keeps the next one back, and is sent when its time has come", async () => {
    const { deliver, promise, row, channel, bells, passTime } = await stage();
    const first = await promise("one");
    await promise("two");
    channel.next("refuse");
    await deliver();
    expect(await row(first)).toMatchObject({
      status: "pending",
      attempts: 1,
      error: "busy",
      ambiguous: false,
    });
    expect(channel.placed).toEqual([]);
    expect(bells.deliveries.at(-1)?.delayMs).toBeGreaterThan(500);

    await passTime();
    await deliver();
    expect(channel.placed.map(({ text }) => text)).toEqual(["one", "two"]);
    expect(channel.lookUps).toEqual([]);
  });

  it("for good is a dead letter, and the next one goes out", async () => {
    const { deliver, promise, row, channel } = await stage();
    const first = await promise("one");
    await promise("two");
    channel.next("refuse_for_good");
    await deliver();
    expect(await row(first)).toMatchObject({ status: "failed", error: "no such room" });
    expect(channel.placed.map(({ text }) => text)).toEqual(["two"]);
  });

  it("with a time to wait is left alone for so long", async () => {
    const { deliver, promise, channel, bells } = await stage();
    await promise("one");
    channel.next({ refuseForMs: 45_000 });
    await deliver();
    expect(bells.deliveries.at(-1)?.delayMs).toBeGreaterThan(43_000);
  });

  it("again and again is a dead letter after the last attempt", async () => {
    const { deliver, promise, row, channel, passTime } = await stage();
    const id = await promise("one");
    channel.next("refuse", "refuse", "refuse", "refuse");
    for (let attempt = 1; attempt <= 4; attempt++) {
      await deliver();
      await passTime();
      await db.database.run({
        text: "update outbox set next_attempt_at = now() where id = $1",
        values: [id],
      });
    }
    expect(await row(id)).toMatchObject({ status: "failed", attempts: 4 });
    expect(channel.placed).toEqual([]);
  });

  it("because the channel is not configured is a dead letter that says so", async () => {
    const { deliver, promise, row } = await stage({ name: "other" });
    const id = await promise("one");
    await deliver();
    expect(await row(id)).toMatchObject({
      status: "failed",
      error: 'no channel "fake" is configured',
    });
  });
});

/** The next attempt's time has come. */
const due = (threadId: string) =>
  db.database.run({
    text: "update outbox set next_attempt_at = now() where thread_id = $1",
    values: [threadId],
  });

describe("a send that nobody knows the outcome of", () => {
  it("is looked up before it is sent again, and not sent again when it had arrived", async () => {
    const { deliver, promise, row, channel, threadId } = await stage();
    const id = await promise("one");
    channel.next("drop");
    await deliver();
    expect(await row(id)).toMatchObject({ status: "pending", ambiguous: true });

    await due(threadId);
    await deliver();
    expect(await row(id)).toMatchObject({ status: "sent", receipt: "m1" });
    expect(channel.placed).toHaveLength(1);
    expect(channel.sends).toHaveLength(1);
  });

  it("is sent again when the platform says that it did not arrive", async () => {
    const { deliver, promise, row, channel, threadId } = await stage();
    const id = await promise("one");
    channel.next("lose");
    await deliver();
    await due(threadId);
    await deliver();
    expect(channel.lookUps).toEqual([id]);
    expect(channel.placed).toHaveLength(1);
    expect(await row(id)).toMatchObject({ status: "sent", attempts: 2 });
  });

  it("is a person's business when the platform cannot tell, and is never resent blindly", async () => {
    const { deliver, promise, row, channel, threadId } = await stage({ canFind: false });
    const id = await promise("one");
    channel.next("drop");
    await deliver();
    await due(threadId);
    await deliver();
    expect(await row(id)).toMatchObject({ status: "uncertain" });
    expect(channel.sends).toHaveLength(1);
  });

  it("on a channel where repeating is harmless is simply repeated", async () => {
    const { deliver, promise, row, channel, threadId } = await stage({ sendIsIdempotent: true });
    const id = await promise("one");
    channel.next("drop");
    await deliver();
    await due(threadId);
    await deliver();
    expect(channel.lookUps).toEqual([]);
    expect(channel.placed).toHaveLength(1);
    expect(await row(id)).toMatchObject({ status: "sent", receipt: "m1" });
  });

  it.each([false, true])(
    "in the last attempt is uncertain, not failed (idempotent: %s)",
    async (harmless) => {
      const { deliver, promise, row, channel } = await stage(
        { sendIsIdempotent: harmless },
        { maxAttempts: 1 },
      );
      const id = await promise("one");
      channel.next("lose");
      await deliver();
      expect(await row(id)).toMatchObject({ status: "uncertain" });
    },
  );

  it("stays in doubt through later refusals, until somebody looked", async () => {
    const { deliver, promise, row, channel, threadId } = await stage({}, { maxAttempts: 3 });
    const id = await promise("one");
    channel.next("lose", "refuse", "refuse");
    await deliver();
    await due(threadId);
    await deliver();
    expect(await row(id)).toMatchObject({ status: "pending", ambiguous: false });
    await due(threadId);
    await deliver();
    expect(await row(id)).toMatchObject({ status: "failed" });
  });

  it("because of an error that is no DeliveryError is in doubt as well", async () => {
    const { deliver, promise, row, channel } = await stage();
    const id = await promise("one");
    channel.next("break");
    await deliver();
    expect(await row(id)).toMatchObject({ status: "pending", ambiguous: true });
  });

  it("because it took too long is in doubt", async () => {
    const { deliver, promise, row, channel } = await stage({}, { sendTimeoutMs: 60 });
    const id = await promise("one");
    channel.next("hang");
    await deliver();
    expect(await row(id)).toMatchObject({ status: "pending", ambiguous: true, error: "no answer" });
  });
});

describe("a worker that died with a claim", () => {
  const dead = async (one: Stage) => {
    expect(await one.parts.outbox.claim(one.threadId, ids.next(), 1_000)).not.toBeNull();
  };

  it("holds the message until the claim's time is over, and no longer", async () => {
    const one = await stage();
    await one.promise("one");
    await dead(one);
    await one.deliver();
    expect(one.channel.sends).toEqual([]);
    expect(one.bells.deliveries.at(-1)?.delayMs).toBeGreaterThan(500);

    await one.passTime();
    await one.deliver();
    expect(one.channel.lookUps).toHaveLength(1);
    expect(one.channel.placed).toHaveLength(1);
  });

  it("leaves what it may have sent to a person where the platform cannot tell", async () => {
    const one = await stage({ canFind: false });
    const id = await one.promise("one");
    await dead(one);
    await one.passTime();
    await one.deliver();
    expect(await one.row(id)).toMatchObject({ status: "uncertain" });
    expect(one.channel.sends).toEqual([]);
  });

  it("leaves no dead letter but a doubt when the channel is gone by then", async () => {
    const one = await stage({ name: "other" });
    const id = await one.promise("one");
    await dead(one);
    await one.passTime();
    await one.deliver();
    expect(await one.row(id)).toMatchObject({ status: "uncertain" });
  });
});

describe("a worker that was frozen after its claim", () => {
  it("does not send when the claim's time is up, and the message is not lost", async () => {
    const slow = outbox(db.database);
    const { deliver, promise, row, channel, threadId } = await stage(
      {},
      {
        sendTimeoutMs: 40,
        outbox: {
          ...slow,
          claim: async (...claim) => {
            const entry = await slow.claim(...claim);
            if (channel.sends.length === 0 && !thawed) await sleep(110);
            thawed = true;
            return entry;
          },
        },
      },
    );
    let thawed = false;
    const id = await promise("one");
    await deliver();
    await due(threadId);
    await deliver();
    expect(channel.sends.every(({ attempt }) => attempt === 1)).toBe(true);
    expect(channel.placed).toHaveLength(1);
    expect(await row(id)).toMatchObject({ status: "sent" });
  });

  it("cannot record an outcome over another worker's claim", async () => {
    const one = await stage();
    const id = await one.promise("one");
    const mine = await one.parts.outbox.claim(one.threadId, ids.next(), 1_000);
    await one.passTime();
    await one.deliver();
    expect(await one.parts.outbox.record(mine!, { status: "failed", error: "late" })).toBe(false);
    expect(await one.row(id)).toMatchObject({ status: "sent" });
  });
});

describe("a stop", () => {
  it("in the middle of a send leaves a claim that is looked into later", async () => {
    const { deliver, promise, row, channel, passTime } = await stage({}, { sendTimeoutMs: 5_000 });
    const id = await promise("one");
    channel.next("hang");
    const stop = new AbortController();
    const delivering = deliver(stop.signal);
    await until(() => channel.sends.length === 1);
    stop.abort();
    await delivering;
    expect(await row(id)).toMatchObject({ status: "sending" });

    await passTime();
    await deliver();
    expect(channel.sends).toHaveLength(1);
    expect(await row(id)).toMatchObject({ status: "sent", receipt: "m1" });
  });

  it("while waiting for the room's turn puts the message back, untried", async () => {
    const { deliver, promise, row } = await stage({ maxSendsPerSecond: 1, canFind: false });
    await promise("one");
    const second = await promise("two");
    const stop = new AbortController();
    const delivering = deliver(stop.signal);
    await until(async () => (await row(second)).status === "sending");
    stop.abort();
    await delivering;
    expect(await row(second)).toMatchObject({ status: "pending", attempts: 0, ambiguous: false });
  });
});

describe("a room that takes few messages", () => {
  it("gets them spaced, and another room does not wait for it", async () => {
    const { deliver, promise, channel } = await stage({ maxSendsPerSecond: 10 });
    for (const room of ["a", "a", "a", "b"]) await promise(room, room);
    await deliver();
    const times = channel.placed.filter(({ text }) => text === "a").map(({ atMs }) => atMs);
    expect(times[2]! - times[0]!).toBeGreaterThan(190);
    const [other] = channel.placed.filter(({ text }) => text === "b");
    expect(other!.atMs - times[2]!).toBeLessThan(90);
  });

  it("does not use up attempts by making messages wait", async () => {
    const { deliver, promise, row, channel, bells } = await stage(
      { maxSendsPerSecond: 0.2 },
      { sendTimeoutMs: 100 },
    );
    await promise("one");
    const second = await promise("two");
    await deliver();
    expect(channel.placed).toHaveLength(1);
    expect(await row(second)).toMatchObject({ status: "pending", attempts: 0, ambiguous: false });
    expect(bells.deliveries.at(-1)?.delayMs).toBeGreaterThan(4_000);
  });
});

describe("a person", () => {
  it("who settles a doubt as not arrived can have the message sent again", async () => {
    const { deliver, promise, row, channel, parts, threadId } = await stage({ canFind: false });
    const id = await promise("one");
    channel.next("lose");
    await deliver();
    await due(threadId);
    await deliver();
    expect(await row(id)).toMatchObject({ status: "uncertain" });

    await parts.outbox.settle(id, "failed", { note: "it is not there", person: "ann" });
    await parts.outbox.retry(id);
    await deliver();
    expect(await row(id)).toMatchObject({ status: "sent" });
    expect(channel.placed).toHaveLength(1);
  });
});
