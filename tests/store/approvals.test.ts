import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { RefusedError } from "../../core/errors.ts";
import { parseEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import { approvals } from "../../store/approvals.ts";
import { verifyAudit } from "../../store/audit.ts";
import { threadLog } from "../../store/log.ts";
import { sqlState } from "../../store/postgres.ts";
import { sweep } from "../../store/sweep.ts";
import { onEveryDatabase } from "../support/databases.ts";
import { asked, count, decision, leased, newThread, note, times } from "./facts.ts";

const asIs = (_: unknown, args: { [key: string]: unknown }) => args as never;
const past = "2020-01-01T00:00:00.000Z";

onEveryDatabase((opened) => {
  const log = () => threadLog(opened().database);
  const all = () => approvals(opened().database);
  const decide = (...request: Parameters<typeof decision>) => all().decide(decision(...request), asIs);
  const timerOf = async (approvalId: string): Promise<string> =>
    (
      await opened().database.run({ text: "select id from timers where subject = $1", values: [approvalId] })
    )[0]?.id as string;
  const stateOf = async (threadId: string) => {
    const rows = await opened().database.run({
      text: "select seq, type, v, data, actor, '' as at from events where thread_id = $1 order by seq",
      values: [threadId],
    });
    return fold(rows.map((event) => parseEvent(event)));
  };

  describe("deciding", () => {
    it("is done once by 1,000 people at once, and everybody else is told by whom", async () => {
      const { threadId, approval } = await asked(log());
      const verdicts = ["approve", "reject", "edit"] as const;
      const results = await times(1_000, (n) =>
        decide(approval.approvalId, `p${n}`, {
          verdict: verdicts[n % 3] ?? "approve",
          args: { tag: `v${n}` },
        }),
      );
      const decided = results.flatMap((result, n) =>
        result.outcome === "decided" ? [{ result, by: `p${n}` }] : [],
      );
      const stored = await all().get(approval.approvalId);

      expect(decided).toHaveLength(1);
      expect(decided[0]?.by).toBe(stored?.decidedBy);
      const others = results.filter(({ outcome }) => outcome !== "decided");
      expect(
        others.every((result) => result.outcome === "already" && result.decidedBy === decided[0]?.by),
      ).toBe(true);
      expect(
        await count(opened().database, "events where thread_id = $1 and type = 'approval_decided'", [
          threadId,
        ]),
      ).toBe(1);
      expect(await count(opened().database, "decisions where approval_id = $1", [approval.approvalId])).toBe(
        1,
      );
    });

    it.each([2, 3])("waits for a quorum of %i different people, however they hurry", async (quorum) => {
      const { threadId, approval } = await asked(log(), { quorum });
      const results = await times(30, (n) => decide(approval.approvalId, `p${n % 5}`));
      const outcomes = results.map(({ outcome }) => outcome);

      expect(outcomes.filter((outcome) => outcome === "decided")).toHaveLength(1);
      const stored = await all().get(approval.approvalId);
      expect(stored).toMatchObject({ status: "approved" });
      expect(new Set(stored?.approvers).size).toBe(quorum);
      expect((await stateOf(threadId)).calls).toMatchObject([
        { status: "approved", digest: approval.digest },
      ]);
    });

    it("counts one person once, and records the second click nowhere", async () => {
      const { threadId, approval } = await asked(log(), { quorum: 2 });
      const results = await times(10, () => decide(approval.approvalId, "bob"));

      expect(results.every((result) => result.outcome === "counted" && result.missing === 1)).toBe(true);
      expect(
        await count(opened().database, "events where thread_id = $1 and type = 'approval_decided'", [
          threadId,
        ]),
      ).toBe(1);
      expect(await decide(approval.approvalId, "cem")).toMatchObject({
        outcome: "decided",
        status: "approved",
      });
    });

    it("starts counting again after an edit, and what runs is the edited action", async () => {
      const { threadId, approval } = await asked(log(), { quorum: 2 });
      await decide(approval.approvalId, "bob");
      expect(
        await decide(approval.approvalId, "cem", { verdict: "edit", args: { tag: "v2" } }),
      ).toMatchObject({ outcome: "counted", missing: 1 });
      expect(await decide(approval.approvalId, "cem")).toMatchObject({ outcome: "counted", missing: 1 });
      expect(await decide(approval.approvalId, "bob")).toMatchObject({
        outcome: "decided",
        status: "approved",
      });

      const stored = await log().storedAction(approval.approvalId);
      expect(stored).toMatchObject({ action: { args: { tag: "v2" } } });
      expect((await stateOf(threadId)).calls).toMatchObject([
        { status: "approved", args: { tag: "v2" }, digest: stored?.digest },
      ]);
      expect(stored?.digest).not.toBe(approval.digest);
    });

    it("refuses whom the policy does not let, and records nothing", async () => {
      const { approval } = await asked(log(), {
        people: ["bob"],
        notRequester: true,
        minimumAssurance: "signed",
      });
      expect(await decide(approval.approvalId, "cem")).toMatchObject({ outcome: "forbidden" });
      expect(await decide(approval.approvalId, "bob", { who: { assurance: "weak" } })).toMatchObject({
        outcome: "forbidden",
      });
      expect(await decide(randomUUID(), "bob")).toEqual({ outcome: "not_found" });
      expect(await count(opened().database, "decisions where approval_id = $1", [approval.approvalId])).toBe(
        0,
      );
    });

    it("needs arguments for an edit, and takes only what the tool takes", async () => {
      const { approval } = await asked(log());
      await expect(decide(approval.approvalId, "bob", { verdict: "edit" })).rejects.toThrow(RefusedError);
      const refuse = () => {
        throw new RefusedError("invalid", "no such tag", { operation: "test" });
      };
      await expect(
        all().decide(decision(approval.approvalId, "bob", { verdict: "edit", args: {} }), refuse),
      ).rejects.toThrow("no such tag");
      expect(await all().get(approval.approvalId)).toMatchObject({ status: "pending", args: approval.args });
    });

    it("asks back without deciding, and takes a reason with any character", async () => {
      const { threadId, approval } = await asked(log());
      expect(
        await decide(approval.approvalId, "bob", { verdict: "ask_back", reason: "why\0 now? \ud800" }),
      ).toMatchObject({ outcome: "decided", status: "pending" });
      expect(await decide(approval.approvalId, "bob")).toMatchObject({
        outcome: "decided",
        status: "approved",
      });
      const outcomes = (await stateOf(threadId)).transcript.flatMap((item) =>
        item.kind === "approval" ? [item.outcome] : [],
      );
      expect(outcomes).toEqual(["requested", "asked_back", "approved"]);
    });
  });

  describe("expiry", () => {
    it("denies, and whoever approves at that moment either wins or is told", async () => {
      for (let round = 0; round < 8; round++) {
        const { threadId, approval } = await asked(log(), { atExpiry: "deny" }, past);
        const [decided, fired] = await Promise.all([
          decide(approval.approvalId, "bob"),
          sweep(opened().database).fireTimer(await timerOf(approval.approvalId)),
        ]);
        expect(decided).toMatchObject({ outcome: "already", status: "expired" });
        expect(fired).toBe(threadId);
        expect(await all().get(approval.approvalId)).toMatchObject({ status: "expired" });
        expect((await stateOf(threadId)).calls).toEqual([]);
      }
    });

    it.each(["wait", "escalate"] as const)(
      "leaves the approval open where the policy says %s, with one winner in a race",
      async (atExpiry) => {
        const rules = { atExpiry, people: ["bob"], escalateTo: ["cto"] };
        const { threadId, approval } = await asked(log(), rules, past);
        const chief = { ...decision(approval.approvalId, "dan"), roles: ["cto"] };
        expect(await all().decide(chief, asIs)).toMatchObject({ outcome: "forbidden" });
        const fired = await times(20, async () =>
          sweep(opened().database).fireTimer((await timerOf(approval.approvalId)) ?? randomUUID()),
        );

        expect(fired.filter((thread) => thread !== null)).toEqual([threadId]);
        expect(await all().get(approval.approvalId)).toMatchObject({
          status: "pending",
          escalated: atExpiry === "escalate",
        });
        expect((await stateOf(threadId)).calls).toMatchObject([{ status: "awaiting" }]);
        expect(await all().decide(chief, asIs)).toMatchObject({
          outcome: atExpiry === "escalate" ? "decided" : "forbidden",
        });
      },
    );
  });

  it("deciding, committing, expiring and accepting at once never deadlock", async () => {
    const untilMs = Date.now() + 1_500;
    const states: (string | null)[] = [];
    const rounds = await times(5, async () => {
      let n = 0;
      for (; Date.now() < untilMs; n++) {
        const { threadId, approval } = await asked(log(), { atExpiry: "wait", quorum: 2 }, past);
        const { lease, state } = await leased(log(), threadId);
        const timerId = await timerOf(approval.approvalId);
        const results = await Promise.allSettled([
          decide(approval.approvalId, "bob"),
          decide(approval.approvalId, "cem"),
          sweep(opened().database).fireTimer(timerId),
          log().commit(lease, state, { events: [note()], withdrawApprovals: [approval.approvalId] }),
          log().commit(lease, state, {
            events: [note()],
            useApproval: { approvalId: approval.approvalId, digest: approval.digest },
          }),
        ]);
        for (const result of results)
          if (result.status === "rejected") states.push(sqlState(result.reason) ?? String(result.reason));
      }
      return n;
    });
    expect(states).toEqual([]);
    expect(rounds.every((n) => n > 2)).toBe(true);
  });

  describe("the audit log", () => {
    it("is whole after all that was decided at once, and shows the first row that somebody changed", async () => {
      const open = await times(6, () => asked(log(), { quorum: 2 }));
      await Promise.all(
        open.flatMap(({ approval }) => ["bob", "cem", "dan"].map((who) => decide(approval.approvalId, who))),
      );
      const report = await verifyAudit(opened().database);
      expect(report).toMatchObject({ whole: true, lastHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
      expect(report.rows).toBeGreaterThanOrEqual(12);

      const target = report.rows - 5;
      for (const [change, undo] of [
        ["actor = 'mallory'", "actor = $2"],
        ["at = at + interval '1 microsecond'", "at = at - interval '1 microsecond'"],
        ["subject = subject || ' '", "subject = trim(subject)"],
      ] as const) {
        const before = (
          await opened().database.run({ text: "select actor from audit where id = $1", values: [target] })
        )[0]?.actor;
        await opened().database.run({ text: `update audit set ${change} where id = $1`, values: [target] });
        expect(await verifyAudit(opened().database)).toMatchObject({ whole: false, brokenAt: target });
        await opened().database.run({
          text: `update audit set ${undo} where id = $1`,
          values: undo.includes("$2") ? [target, before] : [target],
        });
        expect(await verifyAudit(opened().database)).toMatchObject({ whole: true });
      }
      await opened().database.run({ text: "delete from audit where id = $1", values: [target] });
      expect(await verifyAudit(opened().database)).toMatchObject({ whole: false, brokenAt: target + 1 });
    });
  });

  it("an approval whose stored row is not one is refused, not guessed at", async () => {
    const { approval } = await asked(log());
    await opened().database.run({
      text: "update approvals set policy = '{}' where id = $1",
      values: [approval.approvalId],
    });
    await expect(all().get(approval.approvalId)).rejects.toThrow();
    await newThread(log());
  });
});
