import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { threadLog } from "../../store/log.ts";
import { outbox } from "../../store/outbox.ts";
import { sweep } from "../../store/sweep.ts";
import { onEveryDatabase } from "../support/databases.ts";
import { count, entry, leased, newThread, times, write } from "./facts.ts";

onEveryDatabase((opened) => {
  const log = () => threadLog(opened().database);
  const sweeper = () => sweep(opened().database);

  describe("the sweeper", () => {
    it("finds threads with work that nobody holds, once the grace is over", async () => {
      const forgotten = await newThread(log());
      const held = await newThread(log());
      await leased(log(), held);
      const dead = await newThread(log());
      await leased(log(), dead, "w", 1);
      const rested = await newThread(log());
      const hold = await leased(log(), rested);
      await log().release(hold.lease, hold.state);
      const pausing = await newThread(log());
      await log().abandon((await leased(log(), pausing)).lease, { afterMs: 60_000 });
      await sleep(30);

      expect(await sweeper().lostThreads(60_000, 100)).toEqual([]);
      expect((await sweeper().lostThreads(10, 100)).sort()).toEqual([forgotten, dead].sort());
      expect(await sweeper().lostThreads(10, 1)).toHaveLength(1);
    });

    it("finds the threads whose oldest entry is due, or was left behind by a dead delivery", async () => {
      const box = outbox(opened().database);
      const withEntries = async (n: number): Promise<string> => {
        const threadId = await newThread(log());
        const { lease, state } = await leased(log(), threadId);
        await log().commit(lease, state, { events: [], outbox: Array.from({ length: n }, () => entry()) });
        return threadId;
      };
      const due = await withEntries(2);
      const [behindLive, behindRetry, dead] = [
        await withEntries(2),
        await withEntries(2),
        await withEntries(1),
      ];
      await box.claim(behindLive, randomUUID(), 60_000);
      const later = await box.claim(behindRetry, randomUUID(), 60_000);
      if (later === null) throw new Error("nothing to claim");
      await box.record(later, { status: "pending", error: "busy", retryInMs: 60_000, ambiguous: false });
      await box.claim(dead, randomUUID(), 1);
      await sleep(30);

      expect((await sweeper().lostDeliveries(10, 100)).sort()).toEqual([due, dead].sort());
      expect(await sweeper().lostDeliveries(60_000, 100)).toEqual([dead]);
    });

    it("fires a due timer once, whoever fires, and none before its time", async () => {
      const threadId = await newThread(log());
      const { lease, state } = await leased(log(), threadId);
      const [due, early] = [randomUUID(), randomUUID()];
      const timers = [
        { timerId: due, dueAt: "2020-01-01T00:00:00.000Z", kind: "wait" as const },
        { timerId: early, dueAt: "2040-01-01T00:00:00.000Z", kind: "wait" as const },
      ];
      const set = timers.map(({ timerId, dueAt }) => write("timer_set", { timerId, dueAt, purpose: "wait" }));
      await log().commit(lease, state, { events: set, timers });

      expect(await sweeper().dueTimers(100)).toEqual([due]);
      const fired = await times(20, () => sweeper().fireTimer(due));
      expect(fired.filter((thread) => thread !== null)).toEqual([threadId]);
      expect(await sweeper().fireTimer(early)).toBeNull();
      expect(await sweeper().fireTimer(randomUUID())).toBeNull();
      expect(
        await count(opened().database, "events where thread_id = $1 and type = 'timer_fired'", [threadId]),
      ).toBe(1);
      expect((await log().catchUp(threadId, state)).timers).toMatchObject([{ timerId: early }]);
    });

    it("wakes no cancelled thread with a timer that was left over", async () => {
      const threadId = await newThread(log());
      const { lease, state } = await leased(log(), threadId);
      const timerId = randomUUID();
      const timers = [{ timerId, dueAt: "2020-01-01T00:00:00.000Z", kind: "wait" as const }];
      const events = [
        write("timer_set", { timerId, dueAt: "", purpose: "wait" }),
        write("cancelled", { reason: "stop" }),
        write("reply_committed", { runId: "r", outboxId: "o", text: "Cancelled.", answers: [2] }),
        write("run_ended", { runId: "r", outcome: "cancelled" }),
      ];
      await log().commit(lease, state, { events, timers, release: true });
      await sweeper().fireTimer(timerId);

      expect(
        await opened().database.run({ text: "select status from threads where id = $1", values: [threadId] }),
      ).toEqual([{ status: "cancelled" }]);
      expect((await leased(log(), threadId)).state).toMatchObject({ halted: "cancelled", timers: [] });
    });

    it("drops an expiry whose approval is gone", async () => {
      const threadId = await newThread(log());
      const { lease, state } = await leased(log(), threadId);
      const timerId = randomUUID();
      const timers = [
        {
          timerId,
          dueAt: "2020-01-01T00:00:00.000Z",
          kind: "approval_expiry" as const,
          subject: randomUUID(),
        },
      ];
      await log().commit(lease, state, { events: [], timers });

      expect(await sweeper().fireTimer(timerId)).toBeNull();
      expect((await log().catchUp(threadId, state)).seq).toBe(2);
    });
  });
});
