/**
 * The thread log over Postgres. Each method is one statement (see log-statements.ts); after a crash a thread is where
 * its last committed statement left it. A lease protects a thread only through its fence: time decides when another
 * worker may take over, the fence decides who may write.
 */
import { z } from "zod";
import { errorLine, ParleyError, StaleLeaseError } from "../core/errors.ts";
import { eventVersion, type NewEvent, parseEvent, type ThreadEvent } from "../core/events.ts";
import { fold } from "../core/fold.ts";
import { jsonObjectSchema } from "../core/json.ts";
import type { AcceptRequest, AcceptResult, Commit, CommitResult, Lease, ThreadLog } from "../core/ports.ts";
import {
  emptyThread,
  type ThreadState,
  threadStateSchema,
  threadStatus,
  waitingFor,
} from "../core/thread.ts";
import * as sql from "./log-statements.ts";
import { type Database, type Row, sqlState, uniqueViolation } from "./postgres.ts";

/** A snapshot is written once the tail would exceed this many events. */
const snapshotEvery = 40;

const acceptedRow = z.object({
  outcome: z.enum(["accepted", "duplicate"]),
  thread_id: z.string(),
  seq: z.number(),
});
const leasedRow = z.object({
  fence: z.number(),
  version: z.number(),
  snapshot: z.unknown(),
  tail: z.array(z.unknown()),
  failures: z.number(),
});
const committedRow = z.object({ base: z.number(), version: z.number(), released: z.boolean() });
const storedActionRow = z.object({
  digest: z.string(),
  tool: z.string(),
  args: jsonObjectSchema,
  agent: z.string(),
  threadId: z.string(),
  callId: z.string(),
  requesters: z.array(z.string()),
  policyVersion: z.string(),
  expiresAt: z.string().nullable(),
});
const spentRow = z.object({
  day_tokens: z.number(),
  day_usd: z.number(),
  person_tokens: z.number(),
  person_usd: z.number(),
});

export function threadLog(database: Database): ThreadLog {
  return {
    accept: (request) => accept(database, request),

    async lease(threadId, owner, ttlMs) {
      const row = (await database.run({ ...sql.lease, values: [threadId, owner, ttlMs] }))[0];
      if (row === undefined) return null;
      const held = leasedRow.parse(row);
      const lease: Lease = { threadId, owner, fence: held.fence };
      const state = await readState(database, threadId, held);
      return { lease, state, failures: held.failures };
    },

    async renew({ threadId, owner, fence }, ttlMs) {
      const row = (await database.run({ ...sql.renew, values: [threadId, owner, fence, ttlMs] }))[0];
      if (row === undefined) return "lost";
      return row.cancelled === true ? "cancelled" : "held";
    },

    catchUp: (threadId, state) => catchUp(database, threadId, state),
    commit: (lease, state, commit) => commitOnce(database, lease, state, commit),

    async release(lease, state) {
      const cached = [threadStatus(state), waitingFor(state), state.agent];
      const values = [lease.threadId, lease.owner, lease.fence, state.seq, ...cached];
      if ((await database.run({ ...sql.release, values })).length > 0) return true;
      await requireHeld(database, lease);
      return false;
    },

    async abandon({ threadId, owner, fence }, failed) {
      const values = [threadId, owner, fence, failed !== undefined, failed?.afterMs ?? 0];
      await database.run({ ...sql.abandon, values });
    },

    async storedAction(approvalId) {
      const row = (await database.run({ ...sql.storedAction, values: [approvalId] }))[0];
      if (row === undefined) return null;
      const { digest, ...action } = storedActionRow.parse(row);
      return { action, digest };
    },

    async spentToday(person) {
      const row = spentRow.parse((await database.run({ ...sql.spentToday, values: [person] }))[0]);
      return {
        day: { tokens: row.day_tokens, usd: row.day_usd },
        person: { tokens: row.person_tokens, usd: row.person_usd },
      };
    },
  };
}

/** Two first messages of one thread, or two copies of one message, can collide; the loser then sees the winner's row. */
const acceptAttempts = 6;

async function accept(database: Database, request: AcceptRequest): Promise<AcceptResult> {
  const statement = acceptStatement(request);
  for (let attempt = 1; ; attempt++) {
    try {
      const row = (await database.run(statement))[0];
      if (row === undefined) return { outcome: "no_thread" };
      const { outcome, thread_id: threadId, seq } = acceptedRow.parse(row);
      return { outcome, threadId, seq };
    } catch (error) {
      if (sqlState(error) !== uniqueViolation || attempt === acceptAttempts) throw error;
    }
  }
}

function acceptStatement({ target, dedupe, event }: AcceptRequest) {
  const shared = [dedupe.channel, dedupe.account, dedupe.key];
  const facts = [event.type, eventVersion(event.type), json(event.data), json(event.actor)];
  if ("threadId" in target) {
    const status = event.type === "paused" || event.type === "cancelled" ? event.type : resumedStatus(event);
    return { ...sql.acceptByThread, values: [...shared, target.threadId, ...facts, status] };
  }
  const { binding, agent, newThreadId } = target;
  const started = { agent, home: binding };
  return {
    ...sql.acceptByBinding,
    values: [
      ...shared,
      newThreadId,
      ...facts,
      agent,
      binding.room,
      binding.anchor,
      titleOf(event),
      json(started),
      eventVersion("thread_started"),
      json({ kind: "system", name: "ingest" }),
      binding.channel,
      binding.account,
    ],
  };
}

const resumedStatus = (event: NewEvent): string | null => (event.type === "resumed" ? "running" : null);

const titleOf = (event: NewEvent): string =>
  event.type === "message_received"
    ? (event.data.text.trim().split("\n")[0] ?? "").replaceAll("\0", "").slice(0, 120).toWellFormed()
    : "";

/** A snapshot that this version cannot read is no loss: the whole log folds to the same state. */
async function readState(
  database: Database,
  threadId: string,
  held: z.infer<typeof leasedRow>,
): Promise<ThreadState> {
  const snapshot = threadStateSchema.safeParse(held.snapshot);
  if (held.snapshot !== null && !snapshot.success) return catchUp(database, threadId, emptyThread);
  const tail = held.tail.map((event) => parseEvent(event));
  const state = fold(tail, snapshot.data ?? emptyThread);
  return state.seq >= held.version ? state : catchUp(database, threadId, state);
}

async function catchUp(database: Database, threadId: string, from: ThreadState): Promise<ThreadState> {
  let state = from;
  for (;;) {
    const rows = await database.run({ ...sql.tail, values: [threadId, state.seq] });
    state = fold(
      rows.map((row) => parseEvent(row.event)),
      state,
    );
    if (rows.length < sql.tailLimit) return state;
  }
}

async function commitOnce(
  database: Database,
  lease: Lease,
  state: ThreadState,
  commit: Commit,
): Promise<CommitResult> {
  const after = fold(numbered(commit.events, state.seq), state);
  const row = await unlessRefused(database.run(commitStatement(lease, state, after, commit)));
  if (row === undefined) {
    await requireHeld(database, lease);
    return { outcome: "moved", state: await catchUp(database, lease.threadId, state) };
  }
  const { base, released } = committedRow.parse(row);
  if (base === state.seq) return { outcome: "committed", state: after, released };
  return { outcome: "committed", state: await catchUp(database, lease.threadId, state), released };
}

/** The commit's row, if there was one. */
async function unlessRefused(commit: Promise<Row[]>): Promise<Row | undefined> {
  try {
    return (await commit)[0];
  } catch (error) {
    if (sqlState(error) === sql.commitRefused) return undefined;
    throw error;
  }
}

function commitStatement(lease: Lease, state: ThreadState, after: ThreadState, commit: Commit) {
  const events = commit.events.map((event) => ({ ...event, v: eventVersion(event.type) }));
  const snapshotDue = Math.floor(after.seq / snapshotEvery) > Math.floor(state.seq / snapshotEvery);
  const values: unknown[] = [
    lease.threadId,
    lease.owner,
    lease.fence,
    state.seq,
    commit.onlyIfUnmoved ?? false,
    json(events),
    threadStatus(after),
    waitingFor(after),
    after.agent,
    Math.round(after.spend.tokens),
    after.spend.usd,
    snapshotDue ? json(after) : null,
    commit.release ?? false,
    json(commit.outbox ?? []),
    json(commit.modelCalls ?? []),
  ];
  const { approvals = [], useApproval, withdrawApprovals = [], timers = [] } = commit;
  if (approvals.length + withdrawApprovals.length + timers.length === 0 && useApproval === undefined) {
    return { ...sql.commit, values };
  }
  values.push(json(approvals), useApproval?.approvalId ?? null, useApproval?.digest ?? null);
  values.push(withdrawApprovals, json(timers));
  return { ...sql.commitWithApprovals, values };
}

/** Events as the store is about to number them. Their time is the database's and plays no part in the fold. */
function numbered(events: readonly NewEvent[], after: number): ThreadEvent[] {
  return events.map((event, index) => ({
    ...event,
    v: eventVersion(event.type),
    seq: after + 1 + index,
    at: "",
  }));
}

async function requireHeld(database: Database, lease: Lease): Promise<void> {
  const row: Row | undefined = (await database.run({ ...sql.holder, values: [lease.threadId] }))[0];
  if (row?.owner !== lease.owner || row.fence !== lease.fence) throw new StaleLeaseError(lease.threadId);
}

/** JSON for a jsonb parameter. Postgres refuses NUL and lone surrogates in jsonb text: they become U+FFFD. */
export function json(value: unknown): string {
  try {
    return JSON.stringify(value).replace(/(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g, "$1\\ufffd");
  } catch (error) {
    throw new ParleyError(`not JSON: ${errorLine(error)}`, {
      operation: "write JSON",
      publicText: "That cannot be stored.",
      retryable: false,
      cause: error,
    });
  }
}
