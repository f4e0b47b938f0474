import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ThreadEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import { emptyThread, type ThreadState, threadStatus } from "../../core/thread.ts";
import type { Actor } from "../../core/words.ts";
import { webBinding } from "../../gateway/http/web-binding.ts";
import { ids } from "../../gateway/ids.ts";
import { type ForkRequest, forkThread } from "../../store/fork.ts";
import { listing } from "../../store/listing.ts";
import { threadLog } from "../../store/log.ts";
import { sweep } from "../../store/sweep.ts";
import { awaitingApproval, commitOn, newThread, outboxEntry, stepDecided } from "../gateway/http/seeding.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let db: TestDatabase;
let log: ReturnType<typeof threadLog>;
beforeAll(async () => {
  db = await testDatabase();
  log = threadLog(db.database);
});
afterAll(() => db.close());

const actor: Actor = { kind: "system", name: "test" };
const agent: Actor = { kind: "agent", name: "helper" };

async function fork(threadId: string, atSeq: number, change: Partial<ForkRequest> = {}) {
  const home = webBinding(ids.next());
  const result = await forkThread(db.database, ids, {
    threadId,
    atSeq,
    newThreadId: ids.next(),
    home,
    actor,
    dedupe: { channel: "web", account: "ann", key: ids.next() },
    ...change,
  });
  return { ...result, home };
}

async function eventsOf(threadId: string): Promise<ThreadEvent[]> {
  return (await listing(db.database).events({ threadId, after: 0, limit: 500 }))?.events ?? [];
}

const stateOf = (threadId: string): Promise<ThreadState> => log.catchUp(threadId, emptyThread);

/** Where a fork is at home and answers is its own. */
const withoutPlace = (state: ThreadState) => ({
  ...state,
  home: null,
  latest: state.latest && { ...state.latest, via: null },
});

async function answered(): Promise<string> {
  const threadId = await newThread(log);
  const runId = ids.next();
  const entry = outboxEntry(threadId);
  const usage = { inputTokens: 5, outputTokens: 5, costUsd: 0.5 };
  await commitOn(log, threadId, {
    events: [
      { type: "run_started", data: { runId, correlationId: "c" }, actor: agent },
      {
        type: "model_failed",
        data: { runId, basisSeq: 2, kind: "timeout", error: "slow", retryTimerId: null, usage },
        actor: agent,
      },
      stepDecided(runId, 2, { type: "reply", text: "hi" }),
      {
        type: "reply_committed",
        data: { runId, outboxId: entry.outboxId, text: "hi", answers: [2] },
        actor: agent,
      },
      { type: "run_ended", data: { runId, outcome: "replied" }, actor: agent },
    ],
    outbox: [entry],
  });
  return threadId;
}

it("folds, at every position, to the fold of those facts, but for where it is at home", async () => {
  const threadId = await answered();
  const original = await eventsOf(threadId);
  for (let atSeq = 1; atSeq <= original.length; atSeq++) {
    const copy = await fork(threadId, atSeq);
    const state = await stateOf(copy.threadId);

    expect(withoutPlace(state)).toEqual(withoutPlace(fold(original.slice(0, atSeq))));
    expect(state.home).toEqual(copy.home);
    const listed = await listing(db.database).thread(copy.threadId);
    expect(listed).toMatchObject({
      status: threadStatus(state),
      seq: atSeq,
      title: "deploy",
      spend: state.spend,
    });
    expect(copy.runnable).toBe(threadStatus(state) === "running");
  }
  expect(await eventsOf(threadId)).toEqual(original);
});

it("says where it came from, and answers at its own home only", async () => {
  const threadId = await answered();
  const copy = await fork(threadId, 2);
  const [started, message] = await eventsOf(copy.threadId);

  expect(started).toMatchObject({
    type: "thread_started",
    data: { agent: "helper", forkedFrom: { threadId, seq: 2 } },
  });
  expect(message).toMatchObject({ type: "message_received", data: { via: copy.home, text: "deploy" } });
});

it("takes over no delivery, no approval and no model call", async () => {
  const { threadId } = await awaitingApproval(log);
  const copy = await fork(threadId, 5);
  for (const table of ["outbox", "approvals", "model_calls"]) {
    const rows = await db.database.run({
      text: `select 1 from ${table} where thread_id = $1`,
      values: [copy.threadId],
    });
    expect([table, rows.length]).toEqual([table, 0]);
  }
});

describe("what was under way", () => {
  it("is withdrawn when it waited for an approval, which stays with the old thread", async () => {
    const { threadId, approvalId } = await awaitingApproval(log);
    const copy = await fork(threadId, 5);
    const state = await stateOf(copy.threadId);

    expect(state.calls).toEqual([]);
    expect(state.transcript.at(-1)).toMatchObject({ kind: "approval", outcome: "withdrawn" });
    const [approval] = await db.database.run({
      text: "select status from approvals where id = $1",
      values: [approvalId],
    });
    expect(approval?.status).toBe("pending");
    expect((await stateOf(threadId)).calls).toHaveLength(1);
  });

  it("is withdrawn when it was approved and had not begun", async () => {
    const { threadId, approvalId } = await awaitingApproval(log);
    await approve(approvalId);
    const copy = await fork(threadId, 6);

    expect((await stateOf(copy.threadId)).calls).toEqual([]);
  });

  it("ends as a failure when a tool ran: a fork never runs it again", async () => {
    const { threadId, approvalId, callId } = await awaitingApproval(log);
    await approve(approvalId);
    await begin(threadId, callId, approvalId);
    const copy = await fork(threadId, 7);
    const state = await stateOf(copy.threadId);

    expect(state.calls).toEqual([]);
    expect(state.transcript.at(-1)).toMatchObject({ kind: "failure", tool: "deploy" });
    expect(await eventsOf(copy.threadId)).toContainEqual(
      expect.objectContaining({ type: "tool_started", data: expect.objectContaining({ approvalId: null }) }),
    );
  });

  it("makes a fork impossible while nobody knows whether it happened", async () => {
    const { threadId, approvalId, callId } = await awaitingApproval(log);
    await approve(approvalId);
    await begin(threadId, callId, approvalId);
    await commitOn(log, threadId, {
      events: [{ type: "tool_outcome_unknown", data: { callId, error: "gone" }, actor: agent }],
    });

    await expect(fork(threadId, 8)).rejects.toMatchObject({ reason: "conflict" });
    expect((await fork(threadId, 7)).outcome).toBe("forked");
  });

  it("goes on waiting under a timer of its own", async () => {
    const threadId = await newThread(log);
    const timer = { timerId: ids.next(), dueAt: new Date(Date.now() - 1_000).toISOString() };
    const runId = ids.next();
    await commitOn(log, threadId, {
      events: [
        { type: "run_started", data: { runId, correlationId: "c" }, actor: agent },
        stepDecided(runId, 2, { type: "wait", ...timer, reason: "later" }),
        { type: "timer_set", data: { ...timer, purpose: "wait" }, actor: agent },
      ],
      timers: [{ ...timer, kind: "wait" }],
    });
    const copy = await fork(threadId, 5);
    const [own] = (await stateOf(copy.threadId)).timers;

    expect(own?.timerId).not.toBe(timer.timerId);
    expect(await sweep(db.database).fireTimer(own?.timerId ?? "")).toBe(copy.threadId);
    expect((await stateOf(copy.threadId)).timers).toEqual([]);
    expect((await stateOf(threadId)).timers).toHaveLength(1);
  });
});

it("is made once for many identical requests at once", async () => {
  const threadId = await answered();
  const dedupe = { channel: "web", account: "ann", key: "fork:once" };
  const made = await Promise.all(Array.from({ length: 20 }, () => fork(threadId, 3, { dedupe })));

  expect(new Set(made.map((each) => each.threadId)).size).toBe(1);
  expect(made.filter(({ outcome }) => outcome === "forked")).toHaveLength(1);
});

it("can be forked again, and written into", async () => {
  const copy = await fork(await answered(), 7);
  const again = await fork(copy.threadId, 7);
  const first = (await eventsOf(again.threadId))[0];

  expect(first).toMatchObject({ data: { forkedFrom: { threadId: copy.threadId, seq: 7 } } });
  const result = await log.accept({
    target: { threadId: again.threadId },
    dedupe: { channel: "web", account: "ann", key: ids.next() },
    event: { type: "resumed", data: {}, actor },
  });
  expect(result).toMatchObject({ outcome: "accepted", seq: 8 });
});

it.each([
  [0, "a position before the first event"],
  [99, "a position behind the end"],
])("refuses %d: %s", async (atSeq) => {
  await expect(fork(await answered(), atSeq)).rejects.toMatchObject({ reason: "invalid" });
});

it("refuses a thread that does not exist", async () => {
  await expect(fork(ids.next(), 1)).rejects.toMatchObject({ reason: "not_found" });
});

async function approve(approvalId: string): Promise<void> {
  const sender = {
    channel: "web",
    account: "local",
    identity: "ann",
    name: "Ann",
    kind: "human",
    assurance: "session",
    person: "ann",
  };
  const [{ digest } = {}] = await db.database.run({
    text: "select digest from approvals where id = $1",
    values: [approvalId],
  });
  await db.database.run({
    text: "select * from decide_approval($1, 'approve', 'ann', $2, null, null, $3, 1)",
    values: [approvalId, JSON.stringify(sender), digest],
  });
}

async function begin(threadId: string, callId: string, approvalId: string): Promise<void> {
  const data = { callId, attempt: 1, idempotencyKey: callId, approvalId };
  await commitOn(log, threadId, { events: [{ type: "tool_started", data, actor: agent }] });
}
