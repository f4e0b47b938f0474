/**
 * The shapes of the HTTP API's answers, as the console, the CLI and the OpenAPI description see them.
 * Types only: the console imports nothing else of the server.
 */
import type { ApprovalStatus, Verdict } from "../core/approval.ts";
import type { ThreadEvent } from "../core/events.ts";
import type { JsonObject } from "../core/json.ts";
import type { OutboxKind } from "../core/ports.ts";
import type { ThreadStatus } from "../core/thread.ts";
import type { Binding } from "../core/words.ts";

/** One page of a list. `next` goes into `?cursor=`; null on the last page. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface ThreadView {
  id: string;
  agent: string;
  status: ThreadStatus;
  waitingFor: ("approval" | "question" | "timer" | "tool_outcome")[];
  /** The first line of its first message. */
  title: string;
  home: Binding | null;
  seq: number;
  spend: { tokens: number; usd: number };
  createdAt: string;
  updatedAt: string;
}

/** An event as the API shows it: the log's own shape. */
export type EventView = ThreadEvent;

export interface ModelCallView {
  id: string;
  threadId: string;
  model: string;
  stage: "primary" | "backup" | "compacted";
  promptVersion: string;
  promptHash: string;
  inputTokens: number;
  outputTokens: number;
  costUsd: number | null;
  latencyMs: number;
  outcome: string;
  correlationId: string;
  at: string;
}

export interface ApprovalView {
  id: string;
  threadId: string;
  agent: string;
  tool: string;
  /** One line above the exact arguments, where the tool gives one. */
  summary: string | null;
  args: JsonObject;
  digest: string;
  /** The first 12 characters of the digest. */
  shortDigest: string;
  code: string;
  status: ApprovalStatus;
  policy: string;
  quorum: number;
  /** People who have agreed so far. */
  approvedBy: string[];
  requesters: string[];
  decidedBy: string | null;
  decidedAt: string | null;
  reason: string | null;
  expiresAt: string | null;
  createdAt: string;
}

/** Body of POST /v1/approvals/:id/decision. `reason` is required to reject or ask back, `args` to edit. */
export interface DecisionBody {
  verdict: Verdict;
  reason?: string;
  args?: JsonObject;
}

export interface DeliveryView {
  id: string;
  threadId: string;
  kind: OutboxKind;
  binding: Binding;
  status: "pending" | "sending" | "sent" | "uncertain" | "failed";
  attempts: number;
  nextAttemptAt: string | null;
  error: string | null;
  receipt: string | null;
  content: JsonObject;
  createdAt: string;
  updatedAt: string;
}

/** GET /v1/status: what the console's first screen tells a newcomer. */
export interface StatusView {
  version: string;
  model: { name: string; offline: boolean };
  agents: { name: string; description: string }[];
  channels: { name: string; on: boolean }[];
  database: "embedded" | "external";
  queue: "redis" | "postgres";
  /** What to do next, in order: a key for a model, a first channel. Empty when nothing is missing. */
  nextSteps: { title: string; text: string }[];
}

/** GET /v1/session */
export interface SessionView {
  name: string;
  person: string;
  roles: string[];
  scopes: string[];
  csrfToken: string;
}

/** RFC 9457. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  errors?: { path: string; message: string }[];
  /** Set for our own failures: the id that the log has, too. */
  instance?: string;
}

/** An API token as it is listed. The secret is not in it. */
export interface TokenView {
  id: string;
  name: string;
  person: string;
  scopes: string[];
  createdAt: string;
  expiresAt: string | null;
}

/** POST /v1/tokens: the only time that the secret is shown. */
export interface NewTokenView extends TokenView {
  token: string;
}

/** GET /v1/threads/:id/steps/:stepId/prompt: the exact messages that a step was decided by. */
export interface PromptView {
  stepId: string;
  model: string | null;
  promptVersion: string | null;
  promptHash: string | null;
  messages: { role: "system" | "user" | "assistant"; content: string }[];
}

/** The data of an SSE `partial`: the reply's text so far. It is shown while it grows; what counts is the committed reply. */
export interface PartialView {
  text: string;
}

/** POST /v1/threads. The same key, or the header `Idempotency-Key`, gives the same thread. */
export interface NewThreadBody {
  agent?: string;
  input: string;
  idempotencyKey?: string;
  /** Where the answer goes instead of the thread's own home. Its channel must be on. */
  replyTo?: Binding;
}
