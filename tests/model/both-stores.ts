/** The operations of the store as commands that run on the reference and on a real Postgres side by side. */
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect } from "vitest";
import { actionDigest, policySchema, type Verdict } from "../../core/approval.ts";
import { type NewEvent, parseEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import type { Commit, Lease, NewApproval } from "../../core/ports.ts";
import { emptyThread, type ThreadState } from "../../core/thread.ts";
import { approvals } from "../../store/approvals.ts";
import { threadLog } from "../../store/log.ts";
import type { Database } from "../../store/postgres.ts";
import { sweep } from "../../store/sweep.ts";
import { entry, say, write } from "../store/facts.ts";
import { anyEvent, sender } from "../support/arbitraries.ts";
import { type Guards, type ReferenceStore, referenceStore } from "./reference-log.ts";

export interface Both {
  readonly reference: ReferenceStore;
  readonly real: Database;
  readonly name: string;
  nowMs: number;
  readonly threads: string[];
  readonly leases: Lease[];
  readonly states: Map<string, ThreadState[]>;
  readonly approvals: NewApproval[];
  readonly timers: string[];
  readonly outcomes: string[];
}

const startMs = Date.parse("2030-01-01T12:00:00Z");

export async function bothStores(real: Database, rules: Guards): Promise<Both> {
  const both: Both = {
    reference: referenceStore(() => both.nowMs, rules),
    real,
    name: randomUUID(),
    nowMs: startMs,
    threads: [],
    leases: [],
    states: new Map(),
    approvals: [],
    timers: [],
    outcomes: [],
  };
  // What other sequences spent must not count: the day's sum is over all threads.
  await real.run({ text: "delete from model_calls" });
  await setClock(both, startMs);
  return both;
}

async function setClock(both: Both, nowMs: number): Promise<void> {
  both.nowMs = nowMs;
  await both.real.run({ text: "update clock.hand set at = $1", values: [new Date(nowMs).toISOString()] });
}

type Sides = [reference: () => Promise<unknown>, real: () => Promise<unknown>];

/** Runs an operation on both sides: the same value, or an error of the same class. */
async function same(both: Both, [onReference, onReal]: Sides): Promise<unknown> {
  const [expected, actual] = [await settled(onReference), await settled(onReal)];
  both.outcomes.push(nameOf(actual));
  expect(actual).toEqual(expected);
  return actual;
}

const settled = (work: () => Promise<unknown>): Promise<unknown> =>
  work().catch((error: unknown) => ({ failed: error instanceof Error ? error.constructor.name : "?" }));

function nameOf(value: unknown): string {
  const { outcome, failed } = (value ?? {}) as { outcome?: string; failed?: string };
  return failed ?? outcome ?? String(value);
}

type Operation = fc.AsyncCommand<Both, Both, false>;
type Applies = (both: Readonly<Both>) => boolean;

const operation = (name: string, applies: Applies, run: (both: Both) => Promise<void>): Operation => ({
  check: applies,
  run: (_, both) => run(both),
  toString: () => name,
});

const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;
const latestState = (both: Both, threadId: string, back: number): ThreadState => {
  const known = both.states.get(threadId) ?? [];
  return known[Math.max(0, known.length - 1 - back)] ?? emptyThread;
};
function remember(both: Both, threadId: string, state: unknown): void {
  const known = both.states.get(threadId) ?? [];
  if (state !== undefined) both.states.set(threadId, [...known, state as ThreadState]);
}

const hasThread: Applies = ({ threads }) => threads.length > 0;
const hasLease: Applies = ({ leases }) => leases.length > 0;
const hasApproval: Applies = ({ approvals: known }) => known.length > 0;

const found = (place: string, key: string): Operation =>
  operation(
    `a message at ${place} as ${key}`,
    () => true,
    async (both) => {
      const binding = { channel: "web", account: "a", room: both.name, anchor: place };
      const request = {
        target: { binding, agent: "deploybot", newThreadId: randomUUID() },
        dedupe: { channel: "web", account: both.name, key },
        event: say("hello", binding),
      };
      const log = threadLog(both.real);
      const accepted = await same(both, [
        () => both.reference.log.accept(request),
        () => log.accept(request),
      ]);
      const { threadId } = accepted as { threadId: string };
      if (!both.threads.includes(threadId)) both.threads.push(threadId);
    },
  );

const append = (index: number, key: string, event: NewEvent): Operation =>
  operation(`${event.type} as ${key} in thread ${index}`, hasThread, async (both) => {
    const threadId = index === 9 ? randomUUID() : at(both.threads, index);
    const dedupe = { channel: "web", account: both.name, key };
    const request = { target: { threadId }, dedupe, event };
    await same(both, [() => both.reference.log.accept(request), () => threadLog(both.real).accept(request)]);
  });

const lease = (index: number, owner: string): Operation =>
  operation(`${owner} leases thread ${index}`, hasThread, async (both) => {
    const threadId = at(both.threads, index);
    const held = (await same(both, [
      () => both.reference.log.lease(threadId, owner, 1_000),
      () => threadLog(both.real).lease(threadId, owner, 1_000),
    ])) as { lease: Lease; state: ThreadState } | null;
    if (held === null) return;
    both.leases.push(held.lease);
    remember(both, threadId, held.state);
  });

/** The newest lease mostly, an older one sometimes. */
const leaseOf = (both: Both, back: number): Lease =>
  both.leases[Math.max(0, both.leases.length - 1 - back)] as Lease;

const withLease = (
  name: string,
  back: number,
  call: (log: Both["reference"]["log"], lease: Lease, state: ThreadState) => Promise<unknown>,
): Operation =>
  operation(`${name} by lease -${back}`, hasLease, async (both) => {
    const held = leaseOf(both, back);
    const state = latestState(both, held.threadId, 0);
    await same(both, [
      () => call(both.reference.log, held, state),
      () => call(threadLog(both.real), held, state),
    ]);
  });

interface CommitPlan {
  back: number;
  stateBack: number;
  events: NewEvent[];
  onlyIfUnmoved: boolean;
  release: boolean;
  asks: boolean;
  uses: boolean;
  digest: "right" | "wrong";
  withdraws: boolean;
  waits: boolean;
  replies: boolean;
  which: number;
  policy: { quorum: number; atExpiry: "deny" | "wait" | "escalate"; expires: boolean };
}

function commitOf(both: Both, { threadId }: Lease, plan: CommitPlan): Commit {
  const { events, onlyIfUnmoved, release } = plan;
  const commit: Commit = { events, onlyIfUnmoved, release };
  const soon = new Date(both.nowMs + 1_500).toISOString();
  const expiresAt = plan.policy.expires ? soon : null;
  if (plan.asks) {
    const approval = newApproval(threadId, plan, expiresAt);
    const { approvalId, callId, digest, code, tool, args } = approval;
    const facts = {
      approvalId,
      callId,
      digest,
      code,
      tool,
      args,
      policy: "p",
      policyVersion: "1",
      expiresAt,
    };
    commit.approvals = [approval];
    commit.events = [...events, write("approval_requested", facts)];
    const expiry = { timerId: randomUUID(), kind: "approval_expiry", subject: approvalId } as const;
    if (expiresAt !== null) commit.timers = [{ ...expiry, dueAt: expiresAt }];
  }
  const known = both.approvals.length === 0 ? undefined : at(both.approvals, plan.which);
  if (plan.uses && known !== undefined) {
    const current = both.reference.look(known.approvalId)?.digest ?? known.digest;
    commit.useApproval = {
      approvalId: known.approvalId,
      digest: plan.digest === "right" ? current : "another",
    };
  }
  if (plan.withdraws && known !== undefined) commit.withdrawApprovals = [known.approvalId];
  if (plan.waits)
    commit.timers = [...(commit.timers ?? []), { timerId: randomUUID(), dueAt: soon, kind: "wait" }];
  if (plan.replies) commit.outbox = [entry()];
  commit.modelCalls = plan.replies ? [modelCall()] : [];
  return commit;
}

const modelCall = () => ({
  modelCallId: randomUUID(),
  model: "m",
  stage: "primary" as const,
  promptVersion: "1",
  promptHash: "h",
  inputTokens: 7,
  outputTokens: 4,
  costUsd: 0.5,
  latencyMs: 1,
  runId: randomUUID(),
  stepId: null,
  agent: "deploybot",
  person: "ann",
  correlationId: "c",
  outcome: "ok",
});

function newApproval(threadId: string, { policy }: CommitPlan, expiresAt: string | null): NewApproval {
  const { quorum, atExpiry } = policy;
  const action = {
    tool: "deploy",
    args: { tag: "v1" },
    agent: "deploybot",
    threadId,
    callId: randomUUID(),
    requesters: ["ann"],
    policyVersion: "1",
    expiresAt,
  };
  const rules = policySchema.parse({ name: "p", quorum, atExpiry, notRequester: true });
  const names = { approvalId: randomUUID(), code: randomUUID(), summary: null };
  return { ...action, ...names, digest: actionDigest(action), policy: rules };
}

const commit = (plan: CommitPlan): Operation =>
  operation(`commit ${JSON.stringify(plan)}`, hasLease, async (both) => {
    const held = leaseOf(both, plan.back);
    const state = latestState(both, held.threadId, plan.stateBack);
    const written = commitOf(both, held, plan);
    const result = (await same(both, [
      () => both.reference.log.commit(held, state, written),
      () => threadLog(both.real).commit(held, state, written),
    ])) as { outcome?: string; state?: ThreadState };
    remember(both, held.threadId, result.state);
    if (result.outcome !== "committed") return;
    both.approvals.push(...(written.approvals ?? []));
    both.timers.push(...(written.timers ?? []).map(({ timerId }) => timerId));
  });

const decide = (which: number, verdict: Verdict, person: string): Operation =>
  operation(`${person}: ${verdict} of approval ${which}`, hasApproval, async (both) => {
    const { approvalId } = at(both.approvals, which);
    const args = verdict === "edit" ? { tag: `by-${person}` } : null;
    const request = { approvalId, verdict, sender: sender(person), roles: [], reason: null, args };
    await same(both, [
      async () => both.reference.decide(request, both.reference.look(approvalId)),
      () => approvals(both.real).decide(request, (_, edited) => edited),
    ]);
    await same(both, [
      () => both.reference.log.storedAction(approvalId),
      () => threadLog(both.real).storedAction(approvalId),
    ]);
  });

const fire = (which: number): Operation =>
  operation(
    `timer ${which}`,
    ({ timers }) => timers.length > 0,
    async (both) => {
      const timerId = at(both.timers, which);
      await same(both, [
        async () => both.reference.fireTimer(timerId),
        () => sweep(both.real).fireTimer(timerId),
      ]);
    },
  );

const pass = (ms: number): Operation =>
  operation(
    `${ms} ms pass`,
    () => true,
    (both) => setClock(both, both.nowMs + ms),
  );

const spent = (person: string | null): Operation =>
  operation(
    `spent by ${person}`,
    () => true,
    async (both) => {
      await same(both, [
        () => both.reference.log.spentToday(person),
        () => threadLog(both.real).spentToday(person),
      ]);
    },
  );

const catchUp = (index: number, back: number): Operation =>
  operation(`catch up thread ${index} from -${back}`, hasThread, async (both) => {
    const threadId = at(both.threads, index);
    const state = latestState(both, threadId, back);
    await same(both, [
      () => both.reference.log.catchUp(threadId, state),
      () => threadLog(both.real).catchUp(threadId, state),
    ]);
  });

/** The index that one approval begins one call stands behind everything else: here the guards before it are compared. */
const event = anyEvent.filter(({ type }) => type !== "tool_started");
const index = fc.constantFrom(0, 0, 1, 9);
const back = fc.constantFrom(0, 0, 0, 0, 1, 2);
const key = fc.constantFrom("k1", "k2", "k3", "k4", "k5", "k6");
const sometimes = fc.constantFrom(false, false, true);
const plan: fc.Arbitrary<CommitPlan> = fc.record({
  back,
  stateBack: back,
  events: fc.array(event, { minLength: 1, maxLength: 3 }),
  onlyIfUnmoved: fc.boolean(),
  release: sometimes,
  asks: fc.boolean(),
  uses: fc.boolean(),
  digest: fc.constantFrom("right" as const, "right" as const, "wrong" as const),
  withdraws: fc.constantFrom(false, false, false, false, true),
  waits: sometimes,
  replies: sometimes,
  which: fc.nat({ max: 3 }),
  policy: fc.record({
    quorum: fc.constantFrom(1, 1, 2),
    atExpiry: fc.constantFrom("deny" as const, "wait" as const, "escalate" as const),
    expires: fc.boolean(),
  }),
});
const halts = fc.constantFrom<NewEvent>(
  write("paused", { reason: "" }),
  write("resumed", {}),
  write("cancelled", { reason: "" }),
);
const verdict = fc.constantFrom<Verdict>("approve", "approve", "approve", "edit", "reject", "ask_back");

export const operations = fc.commands<Both, Both, false>(
  [
    fc.tuple(fc.constantFrom("here", "there"), key).map((facts) => found(...facts)),
    fc.tuple(index, key, fc.oneof(event, halts)).map((facts) => append(...facts)),
    fc.tuple(index, fc.constantFrom("w1", "w2")).map((facts) => lease(...facts)),
    fc.tuple(index, fc.constantFrom("w1", "w2")).map((facts) => lease(...facts)),
    plan.map(commit),
    plan.map(commit),
    plan.map(commit),
    back.map((n) => withLease("renew", n, (log, held) => log.renew(held, 1_000))),
    back.map((n) => withLease("release", n, (log, held, state) => log.release(held, state))),
    fc
      .tuple(back, fc.option(fc.constant({ afterMs: 700 }), { nil: undefined }))
      .map(([n, failed]) => withLease("abandon", n, (log, held) => log.abandon(held, failed))),
    fc
      .tuple(fc.nat({ max: 3 }), verdict, fc.constantFrom("ann", "bob", "cem"))
      .map((facts) => decide(...facts)),
    fc.tuple(fc.nat({ max: 3 }), verdict, fc.constantFrom("bob", "cem")).map((facts) => decide(...facts)),
    fc.nat({ max: 5 }).map(fire),
    fc.constantFrom(400, 1_100, 2_000).map(pass),
    fc.constantFrom("ann", "bob", null).map(spent),
    fc.tuple(index, fc.nat({ max: 2 })).map((facts) => catchUp(...facts)),
  ],
  { maxCommands: 60, size: "max" },
);

/** All rows that matter, of both sides in the same shape. */
export async function rowsOf(both: Both): Promise<[unknown, unknown]> {
  const known = both.reference.tables;
  const { threads } = both;
  const select = (text: string) => both.real.run({ text, values: [threads] });
  const iso = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;
  const stored = {
    events: await select(
      "select thread_id, seq, type, v, data, actor, '' as at from events where thread_id = any ($1) order by thread_id, seq",
    ),
    threads: await select(`select id, status, lease_owner, lease_fence::int as fence, version, failures,
      ${iso("runnable_since")} as runnable from threads where id = any ($1) order by id`),
    approvals: await select(`select id, status, digest, args, escalated, approvers, decided_by from approvals
      where thread_id = any ($1) order by id`),
    timers: await select("select id from timers where thread_id = any ($1) order by id"),
    outbox: await select("select id, kind from outbox where thread_id = any ($1) order by id"),
  };
  const rows = [...known.threads.values()].sort((a, b) => (a.threadId < b.threadId ? -1 : 1));
  const byId = <T extends { id: string }>(list: T[]): T[] => list.sort((a, b) => (a.id < b.id ? -1 : 1));
  const reference = {
    threads: rows.map((thread) => ({
      id: thread.threadId,
      status: thread.status,
      lease_owner: thread.owner,
      fence: thread.fence,
      version: thread.events.length,
      failures: thread.failures,
      runnable: thread.runnableSinceMs,
    })),
    approvals: byId(
      [...known.approvals.values()].map(
        ({ approvalId: id, status, digest, args, escalated, approvers, decidedBy }) => ({
          id,
          status,
          digest,
          args,
          escalated,
          approvers,
          decided_by: decidedBy,
        }),
      ),
    ),
    timers: byId([...known.timers.keys()].map((id) => ({ id }))),
    outbox: byId(known.outbox.map(({ outboxId: id, kind }) => ({ id, kind }))),
    states: rows.map(({ events }) => fold(events)),
  };
  const { events, ...rest } = stored;
  const states = rows.map(({ threadId }) =>
    fold(
      events.filter((row) => row.thread_id === threadId).map(({ thread_id: _, ...row }) => parseEvent(row)),
    ),
  );
  return [reference, { ...rest, states }];
}
