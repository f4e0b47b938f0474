import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { threadLog } from "../../store/log.ts";
import { outbox } from "../../store/outbox.ts";
import { onEveryDatabase } from "../support/databases.ts";
import { count, entry, leased, newThread, times } from "./facts.ts";

onEveryDatabase((opened) => {
  const box = () => outbox(opened().database);
  const promised = async (n: number) => {
    const log = threadLog(opened().database);
    const threadId = await newThread(log);
    const { lease, state } = await leased(log, threadId);
    const entries = Array.from({ length: n }, (_, at) => entry({ content: { text: `${at}` } }));
    await log.commit(lease, state, { events: [], outbox: entries });
    return { threadId, entries };
  };
  const claim = (threadId: string, claimMs = 60_000) => box().claim(threadId, randomUUID(), claimMs);
  const claimed = async (threadId: string, claimMs?: number) => {
    const got = await claim(threadId, claimMs);
    if (got === null) throw new Error("nothing to claim");
    return got;
  };

  describe("the outbox", () => {
    it("hands out a thread's entries in the order of promising, each after the one before", async () => {
      const { threadId, entries } = await promised(5);
      const order: unknown[] = [];
      for (let n = 0; n < 5; n++) {
        const got = await claimed(threadId);
        expect(await claim(threadId)).toBeNull();
        order.push(got.outboxId);
        await box().record(got, { status: "sent", receipt: `r${n}` });
      }
      expect(order).toEqual(entries.map(({ outboxId }) => outboxId));
      expect(await claim(threadId)).toBeNull();
      expect(await box().nextDueMs(threadId)).toBeNull();
    });

    it("gives an entry to one of 20 deliveries at once", async () => {
      const { threadId } = await promised(3);
      const claims = await times(20, () => claim(threadId));
      expect(claims.filter((got) => got !== null)).toHaveLength(1);
    });

    it("hands out what a dead delivery held, says that it may have been sent, and believes the dead one no more", async () => {
      const { threadId } = await promised(1);
      const dead = await claimed(threadId, 30);
      expect(dead.attempt).toBe(1);
      await sleep(60);
      const again = (await times(20, () => claim(threadId))).filter((got) => got !== null);

      expect(again).toMatchObject([{ outboxId: dead.outboxId, attempt: 2, maybeSent: true }]);
      expect(dead.maybeSent).toBe(false);
      expect(await box().record(dead, { status: "sent", receipt: "late" })).toBe(false);
      expect(again[0] && (await box().record(again[0], { status: "sent", receipt: "r" }))).toBe(true);
      expect(again[0] && (await box().record(again[0], { status: "failed", error: "twice" }))).toBe(false);
    });

    it("waits for the time of the next attempt, and holds back what comes behind", async () => {
      const { threadId, entries } = await promised(2);
      const got = await claimed(threadId);
      await box().record(got, { status: "pending", error: "busy \0", retryInMs: 150, ambiguous: false });

      expect(await claim(threadId)).toBeNull();
      const dueMs = (await box().nextDueMs(threadId)) ?? 0;
      expect(dueMs).toBeGreaterThan(0);
      expect(dueMs).toBeLessThanOrEqual(150);
      await sleep(200);
      expect(await claim(threadId)).toMatchObject({
        outboxId: entries[0]?.outboxId,
        attempt: 2,
        maybeSent: false,
      });
    });

    it("lets the next entry go once one has failed or is uncertain, and a person can put it back or settle it", async () => {
      const { threadId, entries } = await promised(3);
      const ids = entries.map(({ outboxId }) => outboxId);
      await box().record(await claimed(threadId), { status: "failed", error: "gone" });
      await box().record(await claimed(threadId), { status: "uncertain", error: "cut off" });
      await box().record(await claimed(threadId), { status: "sent", receipt: "r" });
      const audited = await count(opened().database, "audit where action = 'delivery.settle'");

      expect(await box().retry(ids[2] ?? "")).toBeNull();
      expect(await box().settle(ids[2] ?? "", "failed", { note: "no", person: "ann" })).toBeNull();
      expect(await box().retry(ids[0] ?? "")).toEqual({ threadId });
      expect(await claim(threadId)).toMatchObject({ outboxId: ids[0], attempt: 1 });
      expect(await box().settle(ids[1] ?? "", "sent", { note: "I saw it\0", person: "ann" })).toEqual({
        threadId,
      });
      expect(await box().settle(ids[1] ?? "", "sent", { note: "again", person: "ann" })).toBeNull();
      expect(await count(opened().database, "audit where action = 'delivery.settle'")).toBe(audited + 1);
    });

    it("refuses a stored row that is not an entry", async () => {
      const { threadId } = await promised(1);
      await opened().database.run({
        text: "update outbox set kind = 'poem' where thread_id = $1",
        values: [threadId],
      });
      await expect(claim(threadId)).rejects.toThrow();
    });
  });
});
