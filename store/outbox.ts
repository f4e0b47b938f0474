/**
 * The outbox: promised outbound messages and what became of them.
 *
 *   pending ──claim──▶ sending ──▶ sent
 *      ▲                 │ ├─────▶ failed      (refused for good, or attempts used up: a dead letter)
 *      └────retry────────┘ └─────▶ uncertain   (nobody can tell whether it arrived: a person settles it)
 *
 * A claim has a token and a time. A row whose claim died is claimed again by the next delivery, which is told so and
 * asks the platform first. Rows of one thread go out in their order: a row waits until the one before it has left
 * `pending` and `sending`.
 */
import { z } from "zod";
import { jsonObjectSchema } from "../core/json.ts";
import { bindingSchema } from "../core/words.ts";
import type { Database } from "./postgres.ts";

const claimedRow = z.object({
  id: z.string(),
  thread_id: z.string(),
  kind: z.enum(["reply", "approval", "approval_update", "question", "notice"]),
  content: jsonObjectSchema,
  binding: bindingSchema,
  attempts: z.number(),
  maybe_sent: z.boolean(),
});

export interface ClaimedEntry {
  outboxId: string;
  threadId: string;
  kind: z.infer<typeof claimedRow>["kind"];
  content: z.infer<typeof jsonObjectSchema>;
  binding: z.infer<typeof bindingSchema>;
  attempt: number;
  /** An earlier attempt may have arrived: that must be found out before this one sends. */
  maybeSent: boolean;
  claimToken: string;
}

export type DeliveryOutcome =
  | { status: "sent"; receipt: string }
  | { status: "failed"; error: string }
  | { status: "uncertain"; error: string }
  /** `untried`: nothing was sent, so it does not count as an attempt. */
  | { status: "pending"; error: string; retryInMs: number; ambiguous: boolean; untried?: true };

export interface Outbox {
  /** The thread's oldest open entry, if it is due. `claimToken` is fresh for each claim. */
  claim(threadId: string, claimToken: string, claimMs: number): Promise<ClaimedEntry | null>;
  /** Records what became of a claimed entry. False when the claim was taken over meanwhile. */
  record(entry: ClaimedEntry, outcome: DeliveryOutcome): Promise<boolean>;
  /** Ms until the thread's oldest open entry is due; null when nothing is open. */
  nextDueMs(threadId: string): Promise<number | null>;
  /** Puts a failed or uncertain entry back in line. */
  retry(outboxId: string): Promise<{ threadId: string } | null>;
  /** A person says what became of an uncertain or failed entry. */
  settle(
    outboxId: string,
    outcome: "sent" | "failed",
    by: { note: string; person: string },
  ): Promise<{ threadId: string } | null>;
}

const claim = {
  name: "outbox_claim",
  text: `
with first as (
  select id, status, next_attempt_at, claim_until from outbox
   where thread_id = $1 and status in ('pending', 'sending') order by position limit 1
), free as (
  select o.id, o.status as was from outbox o join first on first.id = o.id
   where (o.status = 'pending' and o.next_attempt_at <= now()) or (o.status = 'sending' and o.claim_until < now())
   for update of o skip locked
)
update outbox o
   set status = 'sending', attempts = attempts + 1, claim_token = $2,
       claim_until = now() + $3 * interval '1 millisecond', updated_at = now()
  from free where o.id = free.id
 returning o.id, o.thread_id, o.kind, o.content, o.attempts, (free.was = 'sending' or o.ambiguous) as maybe_sent,
   jsonb_build_object('channel', o.channel, 'account', o.account, 'room', o.room, 'anchor', o.anchor) as binding`,
};

const record = {
  name: "outbox_record",
  text: `
update outbox
   set status = $3, receipt = coalesce($4, receipt), error = $5, claim_token = null, claim_until = null,
       next_attempt_at = now() + coalesce($6, 0) * interval '1 millisecond', ambiguous = $7,
       attempts = attempts - case when $8 then 1 else 0 end, updated_at = now()
 where id = $1 and claim_token = $2 and status = 'sending'
 returning id`,
};

const nextDue = {
  name: "outbox_next_due",
  text: `
select greatest(0, extract(epoch from
         case when status = 'pending' then next_attempt_at else claim_until end - now()) * 1000)::float8 as ms
  from outbox where thread_id = $1 and status in ('pending', 'sending') order by position limit 1`,
};

const retry = `
update outbox set status = 'pending', next_attempt_at = now(), attempts = 0, error = null, updated_at = now()
 where id = $1 and status in ('failed', 'uncertain') returning thread_id`;

const settle = `
with settled as (
  update outbox set status = $2, error = $3, ambiguous = false, updated_at = now()
   where id = $1 and status in ('failed', 'uncertain') returning thread_id
), noted as (
  select append_audit('delivery.settle', $1::text, $4, $2 || $3) from settled
)
select thread_id, (select count(*) from noted) as noted from settled`;

export function outbox(database: Database): Outbox {
  return {
    async claim(threadId, claimToken, claimMs) {
      const row = (await database.run({ ...claim, values: [threadId, claimToken, claimMs] }))[0];
      if (row === undefined) return null;
      const entry = claimedRow.parse(row);
      return {
        outboxId: entry.id,
        threadId: entry.thread_id,
        kind: entry.kind,
        content: entry.content,
        binding: entry.binding,
        attempt: entry.attempts,
        maybeSent: entry.maybe_sent,
        claimToken,
      };
    },

    async record(entry, outcome) {
      const values = [
        entry.outboxId,
        entry.claimToken,
        outcome.status,
        outcome.status === "sent" ? outcome.receipt : null,
        outcome.status === "sent" ? null : outcome.error,
        outcome.status === "pending" ? outcome.retryInMs : null,
        outcome.status === "uncertain" || (outcome.status === "pending" && outcome.ambiguous),
        outcome.status === "pending" && outcome.untried === true,
      ];
      return (await database.run({ ...record, values })).length > 0;
    },

    async nextDueMs(threadId) {
      const row = (await database.run({ ...nextDue, values: [threadId] }))[0];
      return row === undefined ? null : z.number().parse(row.ms);
    },

    async retry(outboxId) {
      return threadOf(await database.run({ text: retry, values: [outboxId] }));
    },

    async settle(outboxId, outcome, { note, person }) {
      return threadOf(await database.run({ text: settle, values: [outboxId, outcome, note, person] }));
    },
  };
}

const threadOf = (rows: Record<string, unknown>[]): { threadId: string } | null =>
  rows[0] === undefined ? null : { threadId: z.string().parse(rows[0].thread_id) };
