/**
 * What the core asks of the world. The store, the queue and the model implement these; tests wrap them.
 * All times are the database's unless a name says otherwise; all ids are UUIDv7.
 */
import type { ApprovalStatus, Policy, StoredAction, Verdict } from "./approval.ts";
import type { NewEvent } from "./events.ts";
import type { Json, JsonObject } from "./json.ts";
import type { ThreadState } from "./thread.ts";
import type { Binding, ModelUsage, Sender } from "./words.ts";

export interface Clock {
  now(): Date;
}

export interface Ids {
  /** A fresh UUIDv7. */
  next(): string;
  randomBytes(count: number): Uint8Array;
}

/** One line of the program's log: an event name of docs/EVENTS.md and ids, never content. */
export type Log = (
  level: "debug" | "info" | "warn" | "error",
  event: string,
  fields: Record<string, unknown>,
) => void;

/** A message (or another outside event) on its way into the log. */
export interface AcceptRequest {
  /** An existing thread, or the binding that finds or founds one. */
  target: { threadId: string } | { binding: Binding; agent: string; newThreadId: string };
  /** Unique for each channel and account: a redelivery carries the same key. */
  dedupe: { channel: string; account: string; key: string };
  event: NewEvent;
}

export type AcceptResult =
  | { outcome: "accepted" | "duplicate"; threadId: string; seq: number }
  | { outcome: "no_thread" };

/** A thread held by one worker. `fence` grows with each holder; every commit checks it. */
export interface Lease {
  readonly threadId: string;
  readonly owner: string;
  readonly fence: number;
}

export interface LeasedThread {
  lease: Lease;
  /** State folded through `state.seq`, which is the log's end at the time of the lease. */
  state: ThreadState;
  /** How often in a row working on this thread has failed for a reason inside the program. */
  failures: number;
}

export type OutboxKind = "reply" | "approval" | "approval_update" | "question" | "notice";

export interface NewOutboxEntry {
  outboxId: string;
  kind: OutboxKind;
  binding: Binding;
  /** What to say; the channel renders it. Versioned by `kind`. */
  content: JsonObject;
  /** Log positions of the messages that this entry is the visible outcome of. */
  answers: number[];
}

/** An approval request: the action it is about, and how people are asked. */
export interface NewApproval extends StoredAction {
  approvalId: string;
  digest: string;
  code: string;
  summary: string | null;
  policy: Policy;
}

/** Everything one decision of the loop writes, in one statement. */
export interface Commit {
  events: NewEvent[];
  /** The commit applies only if the log still ends where `state` does: set it wherever an effect begins. */
  onlyIfUnmoved?: boolean;
  outbox?: NewOutboxEntry[];
  approvals?: NewApproval[];
  /** Marks an approved approval as used. The commit applies only if it is approved, unused, and of this digest. */
  useApproval?: { approvalId: string; digest: string };
  withdrawApprovals?: string[];
  timers?: NewTimer[];
  modelCalls?: ModelCallRecord[];
  /** Gives the lease up in the same statement, if the log did not move meanwhile. */
  release?: boolean;
}

export interface NewTimer {
  timerId: string;
  dueAt: string;
  kind: "wait" | "model_retry" | "approval_expiry";
  /** The approval, for an expiry. */
  subject?: string;
}

export interface ModelCallRecord extends ModelUsage {
  runId: string;
  stepId: string | null;
  agent: string;
  person: string | null;
  correlationId: string;
  /** "ok", or the kind of the model error. */
  outcome: string;
}

export type CommitResult =
  /** `state` is folded to the log's end; `released` says whether the lease was given up. */
  | { outcome: "committed"; state: ThreadState; released: boolean }
  /** The log moved, or the approval cannot be used: nothing was written. `state` is the log's end; decide again. */
  | { outcome: "moved"; state: ThreadState };

/** The log of all threads. Every write is one statement; a kill leaves it wholly done or not done. */
export interface ThreadLog {
  /** Safe to repeat: the dedupe key decides. @throws {ParleyError} when the database cannot store it now. */
  accept(request: AcceptRequest): Promise<AcceptResult>;
  /** Null when another worker holds the thread, or it does not exist. */
  lease(threadId: string, owner: string, ttlMs: number): Promise<LeasedThread | null>;
  /** Keeps the lease alive. `lost` when another worker took it; `cancelled` when somebody cancelled the thread. */
  renew(lease: Lease, ttlMs: number): Promise<"held" | "cancelled" | "lost">;
  /** Folds what was appended after `state`. */
  catchUp(threadId: string, state: ThreadState): Promise<ThreadState>;
  /** @throws {StaleLeaseError} when the fence has moved on. */
  commit(lease: Lease, state: ThreadState, commit: Commit): Promise<CommitResult>;
  /** False when the log has grown past `state` meanwhile: the caller still holds the lease and goes on. */
  release(lease: Lease, state: ThreadState): Promise<boolean>;
  /** Gives the lease up with work left: the thread stays runnable, after `afterMs` if a failure asks for a pause. */
  abandon(lease: Lease, failed?: { afterMs: number }): Promise<void>;
  /** The action an approval is about, as it is stored, with the digest that was approved. */
  storedAction(approvalId: string): Promise<{ action: StoredAction; digest: string } | null>;
  /** Tokens and USD spent on model calls since the start of the day (UTC), by everybody and by one person. */
  spentToday(person: string | null): Promise<{ day: Spend; person: Spend }>;
}

export interface Spend {
  tokens: number;
  usd: number;
}

export interface DecisionRequest {
  approvalId: string;
  verdict: Verdict;
  sender: Sender;
  roles: readonly string[];
  reason: string | null;
  /** For `edit`. */
  args: JsonObject | null;
}

export type DecisionResult =
  | { outcome: "decided"; status: ApprovalStatus; threadId: string; seq: number }
  /** Counted towards the quorum; `missing` further people have to agree. */
  | { outcome: "counted"; missing: number; threadId: string; seq: number }
  | { outcome: "already"; status: ApprovalStatus; decidedBy: string | null }
  | { outcome: "forbidden"; reason: string }
  | { outcome: "not_found" };

/** Rings bells and nothing else: a job carries ids, never content, and losing one loses no work. */
export interface Doorbell {
  /** A thread has something to decide. `lost`: earlier rings were not answered; the job of a dead worker must not swallow this one. */
  ringThread(threadId: string, lost?: boolean): Promise<void>;
  /** A thread has something to deliver. */
  ringDelivery(threadId: string, delayMs?: number, lost?: boolean): Promise<void>;
  /** A timer will be due. */
  ringTimer(timerId: string, delayMs: number, lost?: boolean): Promise<void>;
}

/** What is shown while it happens and lost without harm: partial replies, "something changed". */
export interface LiveSignal {
  threadId: string;
  kind: "changed" | "partial";
  /** For `partial`: the reply's text so far. */
  text?: string;
  /** The text was too long to pass on whole: this is only its end. */
  cut?: boolean;
}

export interface Live {
  publish(signal: LiveSignal): void;
  /** Returns the unsubscribe function. */
  subscribe(listener: (signal: LiveSignal) => void): () => void;
}

/** One question to a model: the exact messages, and the schema its answer must have. */
export interface ModelRequest {
  agent: string;
  messages: readonly { role: "system" | "user" | "assistant"; content: string }[];
  /** Strict JSON schema of the answer (an object at the root). */
  schema: JsonObject;
  schemaName: string;
  maxOutputTokens: number;
  /** The same context, structured: what the offline stand-in decides by. */
  context: Json;
}

export interface ModelAnswer {
  output: unknown;
  model: string;
  inputTokens: number;
  outputTokens: number;
  /** Null when the price of the model is not known. */
  costUsd: number | null;
  latencyMs: number;
}

/** One model behind one endpoint. Never retries on its own: the loop owns retries. */
export interface Model {
  readonly name: string;
  /** True for the stand-in that works without a key; shown wherever the model's name is. */
  readonly offline: boolean;
  /**
   * @param onPartial receives the growing text of a reply, when the endpoint streams.
   * @throws {ModelError} for everything that does not end in parsed JSON.
   */
  decide(
    request: ModelRequest,
    options: { signal: AbortSignal; timeoutMs: number; onPartial?: (replyText: string) => void },
  ): Promise<ModelAnswer>;
}
