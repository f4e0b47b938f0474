/**
 * Forks: a new thread whose log starts with the facts of another, up to a position. The copies keep their positions, so
 * whatever refers to one still does, and the fold of the fork is the fold of those facts, but for this:
 *
 *   - it is at home elsewhere and answers there: a fork never speaks into the room of the thread it came from;
 *   - what was under way is closed. Approvals that were pending are withdrawn (their rows belong to the other thread), and tool
 *     calls not finished end as failures, so that a fork never repeats or completes an effect of the other thread;
 *   - open waits go on under timers of their own.
 *
 * One statement writes all of it; the log it copies from only grows behind the position. Repeating a fork with the same dedupe
 * key gives the first one.
 */
import { z } from "zod";
import { RefusedError } from "../core/errors.ts";
import { type EventOf, eventVersion, type NewEvent } from "../core/events.ts";
import { fold } from "../core/fold.ts";
import type { Ids } from "../core/ports.ts";
import { emptyThread, type ThreadState, threadStatus, waitingFor } from "../core/thread.ts";
import type { Actor, Binding } from "../core/words.ts";
import { listing } from "./listing.ts";
import { json } from "./log.ts";
import { type Database, sqlState, uniqueViolation } from "./postgres.ts";

export interface ForkRequest {
  threadId: string;
  /** How many events the fork takes over, from 1 on. */
  atSeq: number;
  newThreadId: string;
  home: Binding;
  actor: Actor;
  dedupe: { channel: string; account: string; key: string };
}

export interface ForkResult {
  outcome: "forked" | "duplicate";
  threadId: string;
  /** There is something to decide: the thread wants to be rung. */
  runnable: boolean;
}

const pageSize = 500;
const attempts = 6;
const system: Actor = { kind: "system", name: "fork" };

/** @throws {RefusedError} when there is no such thread or position, or nobody knows whether a tool call of it happened. */
export async function forkThread(database: Database, ids: Ids, request: ForkRequest): Promise<ForkResult> {
  if (request.atSeq < 1) throw refused("invalid", "A fork takes over at least one event.");
  const state = await stateAt(database, request);
  if (state.calls.some((call) => call.status === "unknown")) {
    throw refused(
      "conflict",
      "At that position nobody knows whether a tool call happened. Fork at an earlier one.",
    );
  }
  const timerIds = state.timers.map(({ timerId }) => ({ old: timerId, new: ids.next() }));
  const closing = closingEvents(state);
  const after = fold(
    closing.map((event, index) => ({
      ...event,
      v: eventVersion(event.type),
      seq: state.seq + 1 + index,
      at: "",
    })),
    state,
  );
  const statement = forkStatement({ request, after, closing, timerIds });
  for (let attempt = 1; ; attempt++) {
    try {
      const row = forkedRow.parse((await database.run(statement))[0]);
      return { outcome: row.outcome, threadId: row.id, runnable: row.runnable };
    } catch (error) {
      // Two copies of one request collided: the next try sees the winner's row.
      if (sqlState(error) !== uniqueViolation || attempt === attempts) throw error;
    }
  }
}

const forkedRow = z.object({
  outcome: z.enum(["forked", "duplicate"]),
  id: z.string(),
  runnable: z.boolean(),
});

async function stateAt(database: Database, { threadId, atSeq }: ForkRequest): Promise<ThreadState> {
  const read = listing(database);
  let state = emptyThread;
  while (state.seq < atSeq) {
    const limit = Math.min(pageSize, atSeq - state.seq);
    const page = await read.events({ threadId, after: state.seq, limit });
    if (page === null) throw refused("not_found", "There is no such thread.");
    if (page.end < atSeq) {
      throw refused("invalid", `That thread has ${page.end} events; it cannot be forked at ${atSeq}.`);
    }
    state = fold(page.events, state);
  }
  return state;
}

function closingEvents(state: ThreadState): NewEvent[] {
  return state.calls.map(({ status, callId, approvalId, tool }): NewEvent => {
    if ((status === "awaiting" || status === "approved") && approvalId !== null) {
      const reason = "The thread was forked; the approval stays with the thread it was asked in.";
      return { type: "approval_withdrawn", data: { approvalId, reason }, actor: system };
    }
    const error = `${tool} was not finished where the thread was forked, and is not carried over.`;
    return { type: "tool_failed", data: { callId, error, durationMs: 0 }, actor: system };
  });
}

interface ForkParts {
  request: ForkRequest;
  after: ThreadState;
  closing: NewEvent[];
  timerIds: { old: string; new: string }[];
}

function forkStatement({ request, after, closing, timerIds }: ForkParts) {
  const { threadId, atSeq, newThreadId, home, actor, dedupe } = request;
  const started: EventOf<"thread_started"> = {
    agent: "",
    home,
    forkedFrom: { threadId, seq: atSeq },
  };
  const status = threadStatus(after);
  const values: unknown[] = [
    ...[dedupe.channel, dedupe.account, dedupe.key, threadId, atSeq, newThreadId],
    ...[json(home), json(started), json(actor), eventVersion("thread_started")],
    json(closing.map((event) => ({ ...event, v: eventVersion(event.type) }))),
    ...[status, waitingFor(after), after.agent, Math.round(after.spend.tokens), after.spend.usd, after.seq],
    json(after.timers.map((timer, index) => ({ ...timer, timerId: timerIds[index]?.new }))),
  ];
  // The ids of open waits appear in few events and nowhere else in them.
  const renamed = timerIds.reduce((text, timer) => {
    values.push(timer.old, timer.new);
    return `replace(${text}, $${values.length - 1}, $${values.length})`;
  }, "e.data::text");
  return { text: forkText(timerIds.length === 0 ? "e.data" : `(${renamed})::jsonb`), values };
}

/**
 * $1 to $3 dedupe, $4 from thread, $5 position, $6 new thread, $7 home, $8 thread_started, $9 actor, $10 its version,
 * $11 closing events, $12 status, $13 waiting for, $14 agent, $15 tokens, $16 usd, $17 version, $18 timers.
 * A tool call's approval is left out of the copy: an approval begins one call, and it has begun the other thread's.
 */
const forkText = (timed: string): string => `
with known as (
  select thread_id from events where channel = $1 and account = $2 and dedupe_key = $3
), founded as (
  insert into threads (id, agent, title, version, status, waiting_for, spend_tokens, spend_usd, runnable_since)
  select $6, $14, title, $17, $12, $13::text[], $15, $16, case when $12 = 'running' then now() end
    from threads where id = $4 and not exists (select 1 from known)
  returning id, runnable_since is not null as runnable
), home as (
  insert into bindings (channel, account, room, anchor, thread_id, home)
  select $7::jsonb ->> 'channel', $7::jsonb ->> 'account', $7::jsonb ->> 'room', $7::jsonb ->> 'anchor', id, true
    from founded
), started as (
  insert into events (thread_id, seq, type, v, data, actor, channel, account, dedupe_key)
  select founded.id, 1, 'thread_started', $10,
         $8::jsonb || jsonb_build_object('agent', coalesce(e.data -> 'agent', '""')),
         $9::jsonb, $1, $2, $3
    from founded, events e where e.thread_id = $4 and e.seq = 1
), copied as (
  insert into events (thread_id, seq, type, v, data, actor, at)
  select founded.id, e.seq, e.type, e.v,
         case when e.type = 'message_received' then jsonb_set(e.data, '{via}', $7::jsonb)
              when e.type = 'tool_started' then jsonb_set(e.data, '{approvalId}', 'null')
              when e.type in ('timer_set', 'timer_fired', 'model_failed', 'step_decided') then ${timed}
              else e.data end,
         e.actor, e.at
    from founded, events e where e.thread_id = $4 and e.seq > 1 and e.seq <= $5
), closed as (
  insert into events (thread_id, seq, type, v, data, actor)
  select founded.id, $5 + c.n, c.event ->> 'type', (c.event ->> 'v')::int, c.event -> 'data', c.event -> 'actor'
    from founded, jsonb_array_elements($11::jsonb) with ordinality as c(event, n)
), due as (
  insert into timers (id, thread_id, kind, due_at)
  select d."timerId", founded.id, d.purpose, d."dueAt"
    from founded, jsonb_to_recordset($18::jsonb) as d("timerId" uuid, purpose text, "dueAt" timestamptz)
)
select 'forked' as outcome, id, runnable from founded
union all
select 'duplicate', known.thread_id, false from known`;

function refused(reason: "conflict" | "invalid" | "not_found", text: string): RefusedError {
  return new RefusedError(reason, text, { operation: "fork thread" });
}
