import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { StaleLeaseError } from "../../core/errors.ts";
import { parseEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import { type ThreadState, threadStatus, waitingFor } from "../../core/thread.ts";
import { approvals } from "../../store/approvals.ts";
import { threadLog } from "../../store/log.ts";
import { onEveryDatabase } from "../support/databases.ts";
import {
  asked,
  count,
  counting,
  decision,
  entry,
  leased,
  newApproval,
  newBinding,
  newThread,
  note,
  say,
  times,
  to,
  write,
} from "./facts.ts";

onEveryDatabase((opened) => {
  const log = () => threadLog(opened().database);
  const row = async (threadId: string) =>
    (await opened().database.run({ text: "select * from threads where id = $1", values: [threadId] }))[0] ??
    {};
  const stored = async (threadId: string) => {
    const rows = await opened().database.run({
      text: "select seq, type, v, data, actor, '' as at from events where thread_id = $1 order by seq",
      values: [threadId],
    });
    return rows.map((event) => parseEvent(event));
  };
  const reply = (state: ThreadState) => [
    write("run_started", { runId: "r", correlationId: "c" }),
    write("step_decided", {
      stepId: randomUUID(),
      runId: "r",
      basisSeq: state.seq,
      reasoning: "",
      confidence: 1,
      decision: { type: "reply", text: "done" },
      usage: null,
    }),
    write("reply_committed", {
      runId: "r",
      outboxId: randomUUID(),
      text: "done",
      answers: state.unanswered.map(({ seq }) => seq),
    }),
    write("run_ended", { runId: "r", outcome: "replied" }),
  ];

  describe("a lease", () => {
    it("goes to one of 20 workers that want it at once", async () => {
      const threadId = await newThread(log());
      const held = await times(20, (n) => log().lease(threadId, `w${n}`, 60_000));
      expect(held.filter((lease) => lease !== null)).toHaveLength(1);
      expect(await log().lease(randomUUID(), "w", 1_000)).toBeNull();
    });

    it("that ran out is taken over, and a frozen worker that wakes can write, prolong and release nothing", async () => {
      const threadId = await newThread(log());
      const frozen = await leased(log(), threadId, "frozen", 40);
      await sleep(80);
      const taken = (await times(20, (n) => log().lease(threadId, `w${n}`, 60_000))).filter(
        (lease) => lease !== null,
      );
      expect(taken).toHaveLength(1);

      await expect(
        log().commit(frozen.lease, frozen.state, { events: [note()], outbox: [entry()] }),
      ).rejects.toThrow(StaleLeaseError);
      await expect(log().release(frozen.lease, frozen.state)).rejects.toThrow(StaleLeaseError);
      expect(await log().renew(frozen.lease, 60_000)).toBe("lost");
      await log().abandon(frozen.lease);
      expect(await count(opened().database, "outbox where thread_id = $1", [threadId])).toBe(0);
      const [holder] = taken;
      if (holder === undefined || holder === null) throw new Error("nobody holds it");
      expect(await log().renew(holder.lease, 60_000)).toBe("held");
      expect(await log().commit(holder.lease, holder.state, { events: [note()] })).toMatchObject({
        outcome: "committed",
      });
    });

    it("is not handed out twice to one worker either: its old hold is stale", async () => {
      const threadId = await newThread(log());
      const old = await leased(log(), threadId, "w", 30);
      expect(await log().lease(threadId, "w", 30)).toBeNull();
      await sleep(60);
      const fresh = await leased(log(), threadId, "w");

      await expect(log().commit(old.lease, old.state, { events: [note()] })).rejects.toThrow(StaleLeaseError);
      expect(await log().release(fresh.lease, fresh.state)).toBe(true);
    });

    it("is kept alive by renewing it, and tells of a cancellation, even when a message followed", async () => {
      const threadId = await newThread(log());
      const { lease } = await leased(log(), threadId, "w", 150);
      for (let n = 0; n < 4; n++) {
        await sleep(60);
        expect(await log().renew(lease, 150)).toBe("held");
      }
      await log().accept(to(threadId, { event: write("cancelled", { reason: "stop" }) }));
      expect(await log().renew(lease, 1_000)).toBe("cancelled");
      await log().accept(to(threadId, { event: say("do this instead") }));
      expect(await log().renew(lease, 1_000)).toBe("cancelled");
    });

    it("is not given up while a message came in between, and the thread stays runnable", async () => {
      const threadId = await newThread(log());
      const { lease, state } = await leased(log(), threadId);
      await log().accept(to(threadId));

      expect(await log().release(lease, state)).toBe(false);
      expect((await row(threadId)).runnable_since).not.toBeNull();
      expect(await log().release(lease, await log().catchUp(threadId, state))).toBe(true);
      expect(await row(threadId)).toMatchObject({ runnable_since: null, lease_owner: null });
    });

    it("given up with work left makes the thread runnable now, or after the pause that a failure asks for", async () => {
      const threadId = await newThread(log());
      await log().abandon((await leased(log(), threadId)).lease);
      expect((await row(threadId)).failures).toBe(0);
      const due = async () =>
        (
          await opened().database.run({
            text: "select runnable_since <= now() as due from threads where id = $1",
            values: [threadId],
          })
        )[0]?.due;
      expect(await due()).toBe(true);

      await log().abandon((await leased(log(), threadId)).lease, { afterMs: 60_000 });
      expect(await due()).toBe(false);
      const again = await leased(log(), threadId);
      expect(again.failures).toBe(1);
      await log().commit(again.lease, again.state, { events: [] });
      expect((await row(threadId)).failures).toBe(0);
    });

    it("given up at rest leaves the cached columns as the log says, although nothing was committed", async () => {
      const { threadId, approval } = await asked(log(), { quorum: 2 });
      expect(await row(threadId)).toMatchObject({ status: "waiting", waiting_for: ["approval"] });
      await approvals(opened().database).decide(decision(approval.approvalId, "bob"), (_, args) => args);
      expect(await row(threadId)).toMatchObject({ status: "running" });
      const { lease, state } = await leased(log(), threadId);
      await log().release(lease, state);
      expect(await row(threadId)).toMatchObject({ status: "waiting", waiting_for: ["approval"] });
    });
  });

  describe("a commit", () => {
    it("numbers events in order while others accept, and its state is the fold of the log", async () => {
      const threadId = await newThread(log());
      const held = await leased(log(), threadId);
      let { state } = held;
      const accepting = times(40, async (n) => {
        await sleep(n * 3);
        await log().accept(to(threadId));
      });
      for (let n = 0; n < 40; n++) {
        const done = await log().commit(held.lease, state, { events: [note(`a${n}`), note(`b${n}`)] });
        if (done.outcome !== "committed") throw new Error("moved");
        state = done.state;
      }
      await accepting;
      state = await log().catchUp(threadId, state);
      const events = await stored(threadId);

      expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 122 }, (_, index) => index + 1));
      const own = events.flatMap((event) => (event.type === "prefetched" ? [event.data.name] : []));
      expect(own).toEqual(Array.from({ length: 40 }, (_, n) => [`a${n}`, `b${n}`]).flat());
      expect(state).toEqual(fold(events));
      const last = await log().commit(held.lease, state, { events: [note()] });
      expect(await row(threadId)).toMatchObject({
        status: threadStatus(last.state),
        waiting_for: waitingFor(last.state),
        version: 123,
      });
    });

    it("that must not be overtaken writes nothing when a message came first", async () => {
      const threadId = await newThread(log());
      const { lease, state } = await leased(log(), threadId);
      await log().accept(to(threadId));
      const moved = await log().commit(lease, state, {
        events: [note()],
        outbox: [entry()],
        onlyIfUnmoved: true,
      });

      expect(moved).toMatchObject({ outcome: "moved", state: { seq: 3 } });
      expect(await count(opened().database, "outbox where thread_id = $1", [threadId])).toBe(0);
      expect(await log().commit(lease, moved.state, { events: [note()], onlyIfUnmoved: true })).toMatchObject(
        { outcome: "committed", state: { seq: 4 } },
      );
    });

    it("gives the lease up with the last word, but not when a message came in between", async () => {
      const threadId = await newThread(log());
      const first = await leased(log(), threadId);
      const done = await log().commit(first.lease, first.state, {
        events: reply(first.state),
        release: true,
      });
      expect(done).toMatchObject({ outcome: "committed", released: true });
      expect(await row(threadId)).toMatchObject({ status: "done", runnable_since: null, lease_owner: null });

      await log().accept(to(threadId));
      const second = await leased(log(), threadId);
      await log().accept(to(threadId));
      expect(
        await log().commit(second.lease, second.state, { events: reply(second.state), release: true }),
      ).toMatchObject({ released: false });
      expect(await row(threadId)).toMatchObject({ lease_owner: "w", status: "running" });
    });

    it("is one statement", async () => {
      const threadId = await newThread(log());
      const { lease, state } = await leased(log(), threadId);
      const database = counting(opened().database);
      await threadLog(database).commit(lease, state, {
        events: reply(state),
        outbox: [entry()],
        approvals: [newApproval(threadId)],
      });
      expect(database.statements).toBe(1);
    });

    it("writes everything that belongs to a decision, or nothing of it", async () => {
      const threadId = await newThread(log());
      const { lease, state } = await leased(log(), threadId);
      const usage = {
        modelCallId: randomUUID(),
        model: "m",
        stage: "primary",
        promptVersion: "1",
        promptHash: "h",
        inputTokens: 3,
        outputTokens: 2,
        costUsd: 0.5,
        latencyMs: 1.5,
      } as const;
      const whole = {
        events: [note()],
        outbox: [entry()],
        approvals: [newApproval(threadId)],
        timers: [{ timerId: randomUUID(), dueAt: "2040-01-01T00:00:00.000Z", kind: "wait" as const }],
        modelCalls: [
          {
            ...usage,
            runId: randomUUID(),
            stepId: null,
            agent: "a",
            person: "ann",
            correlationId: "c",
            outcome: "ok",
          },
        ],
      };
      const tables = ["outbox", "approvals", "timers", "model_calls"];
      const counts = () =>
        Promise.all(
          tables.map((table) => count(opened().database, `${table} where thread_id = $1`, [threadId])),
        );
      const broken = { ...whole, timers: [...whole.timers, ...whole.timers] };

      await expect(log().commit(lease, state, broken)).rejects.toThrow("duplicate key");
      expect(await counts()).toEqual([0, 0, 0, 0]);
      expect(await row(threadId)).toMatchObject({ version: 2 });
      expect(await log().commit(lease, state, whole)).toMatchObject({ outcome: "committed" });
      expect(await counts()).toEqual([1, 1, 1, 1]);
      expect(await log().spentToday("ann")).toMatchObject({ person: { tokens: expect.any(Number) } });
    });

    it("uses an approval once, only when approved, and only for its digest", async () => {
      const { threadId, approval } = await asked(log());
      const { approvalId, digest } = approval;
      const begin = { events: [note()], useApproval: { approvalId, digest } };
      const early = await leased(log(), threadId);
      expect(await log().commit(early.lease, early.state, begin)).toMatchObject({ outcome: "moved" });
      await log().abandon(early.lease);
      await approvals(opened().database).decide(decision(approvalId, "bob"), (_, args) => args);
      const { lease, state } = await leased(log(), threadId);
      const other = { ...begin, useApproval: { approvalId, digest: "other" } };

      expect(await log().commit(lease, state, other)).toMatchObject({ outcome: "moved" });
      // All of them read the approval as unused before the first of them gets the thread's row.
      const blocker = new pg.Client({ connectionString: opened().url });
      await blocker.connect();
      await blocker.query("begin");
      await blocker.query("select 1 from threads where id = $1 for update", [threadId]);
      const racing = times(5, () => log().commit(lease, state, begin));
      await sleep(200);
      await blocker.query("commit");
      await blocker.end();
      const used = await racing;
      expect(used.filter(({ outcome }) => outcome === "committed")).toHaveLength(1);
      expect(await log().storedAction(approvalId)).toMatchObject({
        digest,
        action: { args: approval.args, threadId, callId: approval.callId },
      });
    });

    it("never begins one approval's call twice, even if its row were set back", async () => {
      const { threadId, approval } = await asked(log());
      const { lease, state } = await leased(log(), threadId);
      const started = write("tool_started", {
        callId: approval.callId,
        attempt: 1,
        idempotencyKey: "k",
        approvalId: approval.approvalId,
      });
      const done = await log().commit(lease, state, { events: [started] });
      await expect(log().commit(lease, done.state, { events: [started] })).rejects.toThrow("duplicate key");
    });
  });

  describe("a long thread", () => {
    /** Conversations as they go: messages, answers, and a transcript that is shortened now and then. */
    async function grown(events: number): Promise<string> {
      const threadId = await newThread(log());
      await opened().database.run({
        text: `with added as (
                 insert into events (thread_id, seq, type, v, data, actor)
                 select $1, n, e.type, 1, e.data, '{"kind":"system","name":"test"}'
                   from generate_series(3, $2::int) n, lateral (select
                     case when n % 40 = 0 then 'context_compacted' when n % 2 = 1 then 'reply_committed' else 'message_received' end as type,
                     case when n % 40 = 0 then jsonb_build_object('throughSeq', n - 20, 'summary', 'so far')
                          when n % 2 = 1 then jsonb_build_object('runId', 'r', 'outboxId', 'o', 'text', 'answer ' || n, 'answers', jsonb_build_array(n - 1))
                          else $3::jsonb end as data) e)
               update threads set version = $2 where id = $1`,
        values: [threadId, events, JSON.stringify(say("and then?").data)],
      });
      const { lease, state } = await leased(log(), threadId);
      expect(state.seq).toBe(events);
      // The next commit past a multiple of 40 writes the snapshot.
      const { state: after } = await log().commit(lease, state, {
        events: Array.from({ length: 41 }, () => note()),
      });
      await log().release(lease, after);
      return threadId;
    }
    const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

    it("of 10,000 events costs a step at most 1.5 times what a short one costs", async () => {
      const threads = [await grown(10), await grown(10_000)] as const;
      const spent: [number[], number[]] = [[], []];
      const commits: number[] = [];
      for (let round = 0; round < 130; round++) {
        for (const which of [0, 1] as const) {
          const startedMs = performance.now();
          const { lease, state } = await leased(log(), threads[which]);
          const leasedMs = performance.now();
          await log().commit(lease, state, { events: [note()], release: true });
          const endMs = performance.now();
          if (round >= 10) spent[which].push(endMs - startedMs);
          commits.push(endMs - leasedMs);
        }
      }
      const [short, long] = [median(spent[0]), median(spent[1])];
      console.log(
        `lease and commit, median ms: ${short.toFixed(2)} at 10 events, ${long.toFixed(2)} at 10,000; commit alone ${median(commits).toFixed(2)}`,
      );
      expect(long / short).toBeLessThan(1.5);
    });

    it("loads the same from snapshot and tail, from the log alone, and from a snapshot nobody can read", async () => {
      const threadId = await grown(700);
      const load = async () => {
        const { lease, state } = await leased(log(), threadId);
        await log().abandon(lease);
        return state;
      };
      const expected = fold(await stored(threadId));
      const database = counting(opened().database);
      const { lease, state } = await leased(threadLog(database), threadId);
      expect(database.statements).toBe(1);
      expect(state).toEqual(expected);
      await log().abandon(lease);

      await opened().database.run({
        text: "update threads set snapshot = '{\"shape\": 99}' where id = $1",
        values: [threadId],
      });
      expect(await load()).toEqual(expected);
      await opened().database.run({
        text: `update threads set snapshot = null, snapshot_seq = 0, status = 'garbage', waiting_for = '{x}', agent = '?',
                      title = '', spend_tokens = 7, spend_usd = 7 where id = $1`,
        values: [threadId],
      });
      expect(await load()).toEqual(expected);
      const held = await leased(log(), threadId);
      await log().release(held.lease, held.state);
      expect(await row(threadId)).toMatchObject({
        status: threadStatus(expected),
        waiting_for: waitingFor(expected),
        agent: "deploybot",
      });
    });

    it("refuses a stored event that is not one, instead of guessing", async () => {
      const threadId = await newThread(log());
      await opened().database.run({
        text: "update events set data = '{}' where thread_id = $1 and seq = 2",
        values: [threadId],
      });
      await expect(log().lease(threadId, "w", 1_000)).rejects.toThrow();
    });
  });

  it("a binding's thread stays with it", async () => {
    const binding = newBinding();
    const first = await log().accept(to(binding));
    expect(await log().accept(to(binding))).toMatchObject({
      threadId: first.outcome === "no_thread" ? "" : first.threadId,
      seq: 3,
    });
  });
});
