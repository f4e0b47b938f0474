import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fold } from "../../core/fold.ts";
import { threadLog } from "../../store/log.ts";
import { openDatabase } from "../../store/postgres.ts";
import { onEveryDatabase } from "../support/databases.ts";
import { count, counting, leased, newBinding, newThread, say, times, to } from "./facts.ts";

const shuffled = <T>(items: T[]): T[] =>
  items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);

onEveryDatabase((opened) => {
  const log = () => threadLog(opened().database);

  describe("accepting a message", () => {
    it("founds one thread with one event from 50 copies at once", async () => {
      const binding = newBinding();
      const key = randomUUID();
      const results = await times(50, () => log().accept(to(binding, { key })));

      expect(results.filter(({ outcome }) => outcome === "accepted")).toHaveLength(1);
      expect(results.filter(({ outcome }) => outcome === "duplicate")).toHaveLength(49);
      const places = new Set(
        results.map((result) => (result.outcome === "no_thread" ? "" : `${result.threadId} ${result.seq}`)),
      );
      expect(places.size).toBe(1);
      expect(await count(opened().database, "bindings where anchor = $1", [binding.anchor])).toBe(1);
      expect(await count(opened().database, "events where dedupe_key = $1", [key])).toBe(1);
    });

    it("puts different first messages of one binding into one thread", async () => {
      for (let round = 0; round < 5; round++) {
        const binding = newBinding();
        const results = await times(4, () => log().accept(to(binding)));
        const threads = new Set(results.map((result) => result.outcome === "accepted" && result.threadId));
        expect(threads.size).toBe(1);
        expect(results.map((result) => result.outcome === "accepted" && result.seq).sort()).toEqual([
          2, 3, 4, 5,
        ]);
      }
    });

    it("stores each message once when all are redelivered, reordered, at once and after a restart", async () => {
      const binding = newBinding();
      const messages = Array.from({ length: 20 }, () => to(binding));
      const before = await Promise.all(
        shuffled([...messages, ...messages, ...messages]).map((message) => log().accept(message)),
      );
      const restarted = openDatabase({ url: opened().url });
      const after = await Promise.all(
        shuffled(messages).map((message) => threadLog(restarted).accept(message)),
      );
      await restarted.close();

      expect(before.filter(({ outcome }) => outcome === "accepted")).toHaveLength(20);
      expect(after.every(({ outcome }) => outcome === "duplicate")).toBe(true);
      const first = before[0];
      if (first?.outcome === "no_thread" || first === undefined) throw new Error("not accepted");
      const { state } = await leased(log(), first.threadId);
      expect(state.seq).toBe(21);
      expect(state.unanswered).toHaveLength(20);
    });

    it("says so when there is no such thread", async () => {
      expect(await log().accept(to(randomUUID()))).toEqual({ outcome: "no_thread" });
    });

    it("takes text that Postgres cannot hold, with a mark where it could not", async () => {
      const text = 'a\0b \ud800 c\udc00 \\u0000 \\\\u0000 d\\\0 "\u{1f600}"';
      const threadId = await newThread(log(), text);
      const { state } = await leased(log(), threadId);

      expect(state.transcript).toMatchObject([
        { text: 'a\ufffdb \ufffd c\ufffd \\u0000 \\\\u0000 d\\\ufffd "\u{1f600}"' },
      ]);
    });

    it("takes a dedupe key and a room with NUL, and knows them again", async () => {
      const binding = { ...newBinding(), room: "r\0" };
      const request = to(binding, { key: `k\0${randomUUID()}` });

      expect(await log().accept(request)).toMatchObject({ outcome: "accepted", seq: 2 });
      expect(await log().accept(request)).toMatchObject({ outcome: "duplicate", seq: 2 });
      expect(await log().accept(to(binding))).toMatchObject({ outcome: "accepted", seq: 3 });
    });

    it("is one statement, for the first message as for the next and for a copy", async () => {
      const database = counting(opened().database);
      const binding = newBinding();
      const request = to(binding);
      const first = await threadLog(database).accept(request);
      await threadLog(database).accept(request);
      await threadLog(database).accept(to(binding));
      await threadLog(database).accept(to(first.outcome === "no_thread" ? "" : first.threadId));

      expect(database.statements).toBe(4);
    });

    it("leaves a paused thread paused, and rings a resumed one", async () => {
      const threadId = await newThread(log());
      const status = async () =>
        (
          await opened().database.run({
            text: "select status from threads where id = $1",
            values: [threadId],
          })
        )[0]?.status;
      const actor = { kind: "system", name: "test" } as const;
      await log().accept(to(threadId, { event: { type: "paused", data: { reason: "hold" }, actor } }));
      await log().accept(to(threadId, { event: say("still there?") }));
      expect(await status()).toBe("paused");
      await log().accept(to(threadId, { event: { type: "resumed", data: {}, actor } }));
      expect(await status()).toBe("running");
    });

    it("numbers what many accept at once from 1 on, without a gap", async () => {
      const threadId = await newThread(log());
      await times(60, () => log().accept(to(threadId)));
      const rows = await opened().database.run({
        text: "select seq from events where thread_id = $1 order by seq",
        values: [threadId],
      });

      expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 62 }, (_, index) => index + 1));
      expect(fold([], (await leased(log(), threadId)).state).seq).toBe(62);
    });

    it("takes a few hundred messages a second", async () => {
      const startedMs = performance.now();
      await times(600, () => log().accept(to(newBinding())));
      const perSecond = Math.round(600_000 / (performance.now() - startedMs));
      console.log(`accepts per second, each founding a thread: ${perSecond}`);
      expect(perSecond).toBeGreaterThan(100);
    });
  });
});
