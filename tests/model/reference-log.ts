/**
 * What the store promises, in memory and as plainly as it can be said: each operation is one atomic step on a few maps. It is
 * written from the doc comments of core/ports.ts and knows no SQL; reference-log.test.ts holds it against the real store.
 *
 * It is fast enough for ten thousands of sequences, its clock stands still unless somebody moves it, and each of its
 * guards can be taken away, so that a test can show what then goes wrong.
 */
import {
  type ApprovalStatus,
  actionDigest,
  mayDecide,
  type Policy,
  type StoredAction,
} from "../../core/approval.ts";
import { StaleLeaseError } from "../../core/errors.ts";
import { eventVersion, type NewEvent, parseEvent, type ThreadEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import type { JsonObject } from "../../core/json.ts";
import type {
  AcceptRequest,
  AcceptResult,
  Commit,
  CommitResult,
  DecisionRequest,
  DecisionResult,
  Lease,
  LeasedThread,
  ModelCallRecord,
  NewApproval,
  NewOutboxEntry,
  NewTimer,
  Spend,
  ThreadLog,
} from "../../core/ports.ts";
import { emptyThread, type ThreadState, type ThreadStatus, threadStatus } from "../../core/thread.ts";

export interface ThreadRow {
  readonly threadId: string;
  readonly events: ThreadEvent[];
  status: ThreadStatus;
  owner: string | null;
  leasedUntilMs: number;
  fence: number;
  runnableSinceMs: number | null;
  failures: number;
}

export interface ApprovalRow extends Omit<NewApproval, "summary"> {
  status: ApprovalStatus;
  escalated: boolean;
  approvers: string[];
  decidedBy: string | null;
}

export interface TimerRow extends NewTimer {
  readonly threadId: string;
}

/** Each question that an operation asks before it writes. A planted bug answers one of them wrongly. */
export interface Guards {
  /** Whether a worker may take the thread over. */
  free(thread: ThreadRow, nowMs: number): boolean;
  /** Whether this lease is the newest one, and was not given up. */
  held(thread: ThreadRow, lease: Lease): boolean;
  /** Whether the log ends where the writer believes. */
  unmoved(thread: ThreadRow, seq: number): boolean;
  /** Whether a call may begin by this approval. */
  usable(approval: ApprovalRow | undefined, digest: string): boolean;
  /** Whether a verdict still counts. */
  open(approval: ApprovalRow): boolean;
  /** Whether this message was stored before. */
  known(place: Place | undefined): place is Place;
}

interface Place {
  threadId: string;
  seq: number;
}

export const guards: Guards = {
  free: ({ owner, leasedUntilMs }, nowMs) => owner === null || leasedUntilMs < nowMs,
  held: (thread, { owner, fence }) => thread.owner === owner && thread.fence === fence,
  unmoved: ({ events }, seq) => events.length === seq,
  usable: (approval, digest) => approval?.status === "approved" && approval.digest === digest,
  open: ({ status }) => status === "pending",
  known: (place) => place !== undefined,
};

/** The tables. All that a test may look at. */
export interface Tables {
  readonly threads: Map<string, ThreadRow>;
  readonly bindings: Map<string, string>;
  readonly dedupe: Map<string, Place>;
  readonly approvals: Map<string, ApprovalRow>;
  readonly timers: Map<string, TimerRow>;
  readonly outbox: (NewOutboxEntry & { threadId: string })[];
  readonly modelCalls: (ModelCallRecord & { atMs: number })[];
}

type CheckEdit = (approval: ApprovalRow, args: JsonObject) => JsonObject;

export interface ReferenceStore {
  readonly tables: Tables;
  readonly log: ThreadLog;
  /** What an approver sees before the verdict is on its way: an edit in between makes an approval be about nothing. */
  look(approvalId: string): ApprovalRow | null;
  decide(request: DecisionRequest, seen: ApprovalRow | null, checkEdit?: CheckEdit): DecisionResult;
  fireTimer(timerId: string): string | null;
  /** Threads with work that nobody holds. */
  lostThreads(): string[];
}

const copied = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const timers = { kind: "system", name: "timers" } as const;

/** @param nowMs the database's clock. */
export function referenceStore(nowMs: () => number, rules: Guards = guards): ReferenceStore {
  const tables: Tables = {
    threads: new Map(),
    bindings: new Map(),
    dedupe: new Map(),
    approvals: new Map(),
    timers: new Map(),
    outbox: [],
    modelCalls: [],
  };
  const at = { tables, nowMs, rules };
  const log: ThreadLog = {
    accept: async (request) => accept(at, request),
    lease: async (threadId, owner, ttlMs) => lease(at, threadId, { owner, ttlMs }),
    async renew(lease, ttlMs) {
      const thread = tables.threads.get(lease.threadId);
      if (thread === undefined || !rules.held(thread, lease)) return "lost";
      thread.leasedUntilMs = nowMs() + ttlMs;
      return thread.status === "cancelled" ? "cancelled" : "held";
    },
    catchUp: async (threadId, state) => fold(tables.threads.get(threadId)?.events ?? [], state),
    commit: async (lease, state, commit) => write(at, lease, { state, commit: copied(commit) }),
    release: async (lease, state) => release(at, lease, state),
    async abandon(lease, failed) {
      const thread = tables.threads.get(lease.threadId);
      if (thread === undefined || !rules.held(thread, lease)) return;
      thread.owner = null;
      thread.failures += failed === undefined ? 0 : 1;
      thread.runnableSinceMs =
        failed === undefined ? (thread.runnableSinceMs ?? nowMs()) : nowMs() + failed.afterMs;
    },
    storedAction: async (approvalId) => storedAction(tables.approvals.get(approvalId)),
    spentToday: async (person) => spentToday(at, person),
  };
  return {
    tables,
    log,
    look: (approvalId) => copied(tables.approvals.get(approvalId) ?? null),
    decide: (request, seen, checkEdit = (_, args) => args) => decide(at, { request, seen, checkEdit }),
    fireTimer: (timerId) => fireTimer(at, timerId),
    lostThreads: () =>
      [...tables.threads.values()]
        .filter((thread) => thread.runnableSinceMs !== null && thread.runnableSinceMs < nowMs())
        .filter((thread) => guards.free(thread, nowMs()))
        .map(({ threadId }) => threadId),
  };
}

interface At {
  tables: Tables;
  nowMs: () => number;
  rules: Guards;
}

/** Appends as the log stores it: versioned, parsed, numbered without a gap. */
function append({ nowMs }: At, thread: ThreadRow, events: readonly NewEvent[]): number {
  for (const event of copied(events)) {
    const seq = thread.events.length + 1;
    const stored = { ...event, v: eventVersion(event.type), seq, at: new Date(nowMs()).toISOString() };
    thread.events.push(parseEvent(stored));
  }
  return thread.events.length;
}

function accept(at: At, { target, dedupe, event }: AcceptRequest): AcceptResult {
  const { tables, nowMs, rules } = at;
  const key = JSON.stringify([dedupe.channel, dedupe.account, dedupe.key]);
  const known = tables.dedupe.get(key);
  if (rules.known(known)) return { outcome: "duplicate", ...known };
  const thread =
    "threadId" in target ? tables.threads.get(target.threadId) : (bound(at, target) ?? found(at, target));
  if (thread === undefined) return { outcome: "no_thread" };
  const seq = append(at, thread, [event]);
  thread.runnableSinceMs ??= nowMs();
  thread.status = statusAfter(thread, event, "threadId" in target);
  tables.dedupe.set(key, { threadId: thread.threadId, seq });
  return { outcome: "accepted", threadId: thread.threadId, seq };
}

type Target = Extract<AcceptRequest["target"], { binding: unknown }>;
const placeOf = ({ binding: { channel, account, room, anchor } }: Target): string =>
  JSON.stringify([channel, account, room, anchor]);
const bound = ({ tables }: At, target: Target): ThreadRow | undefined =>
  tables.threads.get(tables.bindings.get(placeOf(target)) ?? "");

function found(at: At, target: Target): ThreadRow {
  const { newThreadId: threadId, agent, binding: home } = target;
  const thread: ThreadRow = {
    threadId,
    events: [],
    status: "running",
    owner: null,
    leasedUntilMs: 0,
    fence: 0,
    runnableSinceMs: null,
    failures: 0,
  };
  at.tables.threads.set(threadId, thread);
  at.tables.bindings.set(placeOf(target), threadId);
  append(at, thread, [
    { type: "thread_started", data: { agent, home }, actor: { kind: "system", name: "ingest" } },
  ]);
  return thread;
}

/** A worker that holds a cancelled thread has to learn of the cancellation before a message wakes the thread. */
function statusAfter({ status, owner }: ThreadRow, { type }: NewEvent, byThread: boolean): ThreadStatus {
  if (byThread && (type === "paused" || type === "cancelled")) return type;
  if (byThread && type === "resumed") return "running";
  return status === "paused" || (status === "cancelled" && owner !== null) ? status : "running";
}

function lease(at: At, threadId: string, hold: { owner: string; ttlMs: number }): LeasedThread | null {
  const thread = at.tables.threads.get(threadId);
  if (thread === undefined || !at.rules.free(thread, at.nowMs())) return null;
  thread.owner = hold.owner;
  thread.leasedUntilMs = at.nowMs() + hold.ttlMs;
  thread.fence++;
  return {
    lease: { threadId, owner: hold.owner, fence: thread.fence },
    state: fold(thread.events),
    failures: thread.failures,
  };
}

function heldThread({ tables, rules }: At, lease: Lease): ThreadRow {
  const thread = tables.threads.get(lease.threadId);
  if (thread === undefined || !rules.held(thread, lease)) throw new StaleLeaseError(lease.threadId);
  return thread;
}

function giveUp(thread: ThreadRow): void {
  thread.owner = null;
  thread.runnableSinceMs = null;
}

function release(at: At, lease: Lease, state: ThreadState): boolean {
  const thread = heldThread(at, lease);
  if (!at.rules.unmoved(thread, state.seq)) return false;
  giveUp(thread);
  thread.failures = 0;
  thread.status = threadStatus(state);
  return true;
}

function write(
  at: At,
  lease: Lease,
  { state, commit }: { state: ThreadState; commit: Commit },
): CommitResult {
  const { tables, rules, nowMs } = at;
  const thread = heldThread(at, lease);
  const moved = { outcome: "moved", state: fold(thread.events, state) } as const;
  if (commit.onlyIfUnmoved === true && !rules.unmoved(thread, state.seq)) return moved;
  const used = commit.useApproval;
  const approval = used && tables.approvals.get(used.approvalId);
  if (used !== undefined && !rules.usable(approval, used.digest)) return moved;

  const atEnd = rules.unmoved(thread, state.seq);
  append(at, thread, commit.events);
  const after = fold(thread.events, state);
  thread.failures = 0;
  if (atEnd) thread.status = threadStatus(after);
  if (approval !== undefined) approval.status = "used";
  for (const asked of commit.approvals ?? []) {
    const { summary: _, ...action } = asked;
    const undecided = { status: "pending", escalated: false, approvers: [], decidedBy: null } as const;
    tables.approvals.set(asked.approvalId, { ...action, ...undecided, approvers: [] });
  }
  for (const approvalId of commit.withdrawApprovals ?? []) withdraw(tables.approvals.get(approvalId));
  for (const timer of commit.timers ?? [])
    tables.timers.set(timer.timerId, { ...timer, threadId: lease.threadId });
  tables.outbox.push(...(commit.outbox ?? []).map((entry) => ({ ...entry, threadId: lease.threadId })));
  tables.modelCalls.push(...(commit.modelCalls ?? []).map((call) => ({ ...call, atMs: nowMs() })));
  const released = commit.release === true && atEnd;
  if (released) giveUp(thread);
  return { outcome: "committed", state: after, released };
}

function withdraw(approval: ApprovalRow | undefined): void {
  if (approval?.status === "pending" || approval?.status === "approved") approval.status = "withdrawn";
}

function actionOf(approval: ApprovalRow): StoredAction {
  const { tool, args, agent, threadId, callId, requesters, policyVersion, expiresAt } = approval;
  return { tool, args, agent, threadId, callId, requesters, policyVersion, expiresAt };
}

function storedAction(approval: ApprovalRow | undefined): { action: StoredAction; digest: string } | null {
  return approval === undefined ? null : copied({ action: actionOf(approval), digest: approval.digest });
}

function spentToday({ tables, nowMs }: At, person: string | null): { day: Spend; person: Spend } {
  const dayMs = 86_400_000;
  const today = tables.modelCalls.filter(({ atMs }) => atMs >= Math.floor(nowMs() / dayMs) * dayMs);
  const spend = (calls: readonly ModelCallRecord[]): Spend => ({
    tokens: calls.reduce((sum, call) => sum + call.inputTokens + call.outputTokens, 0),
    usd: calls.reduce((sum, call) => sum + (call.costUsd ?? 0), 0),
  });
  return {
    day: spend(today),
    person: spend(today.filter((call) => person !== null && call.person === person)),
  };
}

interface Verdict {
  request: DecisionRequest;
  seen: ApprovalRow | null;
  checkEdit: CheckEdit;
}

function decide(at: At, { request, seen, checkEdit }: Verdict): DecisionResult {
  if (seen === null) return { outcome: "not_found" };
  const permission = mayDecide(seen.policy, request, seen.requesters, seen.escalated);
  if (!permission.allowed) return { outcome: "forbidden", reason: permission.reason };
  const edited = request.verdict === "edit" ? checkEdit(seen, request.args ?? {}) : null;
  const digest = edited === null ? seen.digest : actionDigest({ ...actionOf(seen), args: edited });
  const approval = at.tables.approvals.get(request.approvalId);
  const thread = at.tables.threads.get(seen.threadId);
  if (approval === undefined || thread === undefined) return { outcome: "not_found" };
  if (!at.rules.open(approval)) {
    return { outcome: "already", status: approval.status, decidedBy: approval.decidedBy };
  }
  if (isOver(approval, at.nowMs())) return { outcome: "already", status: "expired", decidedBy: null };
  // Edited by somebody since it was looked at: it is pending still, but this verdict is about something else.
  if (request.verdict === "approve" && digest !== approval.digest) {
    return { outcome: "already", status: "pending", decidedBy: null };
  }
  return count(at, { request, edited, digest, approval, thread });
}

const isOver = ({ expiresAt, policy }: ApprovalRow, nowMs: number): boolean =>
  expiresAt !== null && Date.parse(expiresAt) <= nowMs && policy.atExpiry === "deny";

interface Counting {
  request: DecisionRequest;
  edited: JsonObject | null;
  digest: string;
  approval: ApprovalRow;
  thread: ThreadRow;
}

function count(at: At, { request, edited, digest, approval, thread }: Counting): DecisionResult {
  const { verdict, sender, reason, approvalId } = request;
  const { threadId } = thread;
  const person = sender.person ?? sender.identity;
  const { quorum } = approval.policy;
  if (verdict === "approve" && approval.approvers.includes(person)) {
    const missing = quorum - approval.approvers.length;
    return { outcome: "counted", missing, threadId, seq: thread.events.length };
  }
  const before = verdict === "edit" ? [] : approval.approvers;
  const agreed = verdict === "approve" || verdict === "edit" ? [...before, person] : before;
  const agrees = verdict === "approve" || verdict === "edit";
  const final = verdict === "reject" || (agrees && agreed.length >= quorum);
  approval.approvers = agreed;
  approval.decidedBy = final ? person : null;
  if (edited !== null) Object.assign(approval, { args: copied(edited), digest });
  if (final) {
    approval.status = verdict === "reject" ? "rejected" : "approved";
    for (const timer of [...at.tables.timers.values()])
      if (timer.subject === approvalId) at.tables.timers.delete(timer.timerId);
  } else approval.status = "pending";
  const data = { approvalId, verdict, sender, reason, args: edited, digest, final };
  const seq = woken(at, thread, { type: "approval_decided", data, actor: { kind: "person", sender } });
  if (final || verdict === "ask_back") {
    return { outcome: "decided", status: approval.status, threadId, seq };
  }
  return { outcome: "counted", missing: Math.max(quorum - agreed.length, 0), threadId, seq };
}

/** Nothing but a message wakes a halted thread. */
function woken(at: At, thread: ThreadRow, event: NewEvent): number {
  thread.runnableSinceMs ??= at.nowMs();
  if (thread.status !== "paused" && thread.status !== "cancelled") thread.status = "running";
  return append(at, thread, [event]);
}

function fireTimer(at: At, timerId: string): string | null {
  const { tables, nowMs } = at;
  const timer = tables.timers.get(timerId);
  const thread = timer && tables.threads.get(timer.threadId);
  if (timer === undefined || thread === undefined || Date.parse(timer.dueAt) > nowMs()) return null;
  tables.timers.delete(timerId);
  if (timer.kind !== "approval_expiry") {
    woken(at, thread, { type: "timer_fired", data: { timerId }, actor: timers });
    return timer.threadId;
  }
  const approval = tables.approvals.get(timer.subject ?? "");
  if (approval?.status !== "pending") return null;
  const consequence: Policy["atExpiry"] = approval.policy.atExpiry;
  if (consequence === "deny") approval.status = "expired";
  if (consequence === "escalate") approval.escalated = true;
  const { approvalId } = approval;
  woken(at, thread, { type: "approval_expired", data: { approvalId, consequence }, actor: timers });
  return timer.threadId;
}

/** The state of a thread as its whole log says. */
export const stateOf = ({ tables }: ReferenceStore, threadId: string): ThreadState =>
  fold(tables.threads.get(threadId)?.events ?? [], emptyThread);
