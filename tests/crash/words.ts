/** The words of the crash harness: what is told, what goes wrong, and what the outside world writes down. */
import type { JsonObject } from "../../core/json.ts";
import type { Effect } from "../../core/words.ts";

/** `keyed` takes an idempotency key, `findable` can be asked what it has, `blind` can do neither. */
export const platformKinds = ["keyed", "findable", "blind"] as const;
export type PlatformKind = (typeof platformKinds)[number];

export const toolEffects: Readonly<Record<string, Effect>> = {
  look: "read",
  set: "idempotent",
  charge: "keyed",
  launch: "once",
};

/** How people answer an approval card. */
export const answerPlans = [
  "approve",
  "raced",
  "reject",
  "contested",
  "edit",
  "edit_raced",
  "again_later",
  "expire",
  "quorum",
  "not_requester",
  "ask_back",
] as const;
export type AnswerPlan = (typeof answerPlans)[number];

/** One thing the model is to do for a message. `id` is unique in all runs. */
export interface StoryCall {
  id: string;
  tool: string;
  /** Null: needs nobody's approval. */
  answers: AnswerPlan | null;
}

export interface StoryMessage {
  label: string;
  calls: StoryCall[];
  /** Copies of one delivery; they go out together or, when `spaced`, one after another. */
  copies: number;
  spaced: boolean;
  /** Does not wait for the message before it. */
  early: boolean;
  pauseMs: number;
}

export interface StoryThread {
  anchor: string;
  platform: PlatformKind;
  messages: StoryMessage[];
}

export type Role = "gateway" | "worker";
export type Moment = "before" | "after";

export type Fault =
  /** The process does this to itself at the k-th call of a port's method. */
  | {
      kind: "kill" | "freeze";
      role: Role;
      call: string;
      k: number;
      moment: Moment;
      /** Every process of that role does it; otherwise the first alone. */
      all: boolean;
    }
  /** The proxy cuts the connection at the k-th chunk with this statement: `before` it reaches Postgres, or `after`. */
  | { kind: "cut"; statement: string; k: number; moment: Moment }
  | { kind: "redis_kill" | "redis_flush" | "postgres_stop"; atMs: number }
  /** The platform drops the connection of the k-th send: before it took the message, or after. */
  | { kind: "send_dropped"; k: number; moment: Moment }
  | { kind: "tool_dropped"; k: number; moment: Moment }
  | { kind: "model_hang"; k: number };
export type FaultKind = Fault["kind"];

export interface Story {
  seed: number;
  threads: StoryThread[];
  faults: Fault[];
}

/** What the platform saw, in its order. `visible` is false for a repetition that its idempotency key made harmless. */
export interface Posted {
  atMs: number;
  pid: number;
  platform: PlatformKind;
  anchor: string;
  deliveryId: string;
  kind: string;
  content: JsonObject;
  visible: boolean;
}

export interface ToolRun {
  beginMs: number;
  endMs: number | null;
  pid: number;
  tool: string;
  id: string;
  callId: string;
  key: string;
  attempt: number;
  args: JsonObject;
  /** False where the idempotency key was known already. */
  effective: boolean;
}

export interface ModelCall {
  beginMs: number;
  endMs: number | null;
  pid: number;
  anchor: string;
}

export interface Sending {
  label: string;
  anchor: string;
  atMs: number;
  ackedMs: number | null;
}

export interface Deciding {
  approvalId: string;
  id: string;
  verdict: "approve" | "reject" | "edit" | "ask_back";
  person: string;
  args: JsonObject | null;
  atMs: number;
  answeredMs: number | null;
  /** `decided`, `counted`, `already`, `forbidden`, `not_found`, `refused`; null when nobody answered. */
  outcome: string | null;
}

/** What a user can look up: a delivery that did not go out as it should. */
export interface ListedTrouble {
  anchor: string;
  kind: string;
  status: string;
  content: JsonObject;
}

/** All that the checker may look at. */
export interface History {
  story: Story;
  posted: Posted[];
  tools: ToolRun[];
  models: ModelCall[];
  sendings: Sending[];
  decidings: Deciding[];
  troubles: ListedTrouble[];
  /** Processes that were frozen or killed in this run. */
  hit: number[];
  /** How long each process, the harness' own among them, was kept from running at most, by its id. */
  lateMs: Record<number, number>;
  /** The run did not come to rest in time. */
  unquiet: string | null;
}

export interface Violation {
  promise: number;
  check: string;
  what: string;
}

/** How long a worker holds a thread in the harness, in ms. */
export const leaseMs = 800;
export const sendTimeoutMs = 300;
/** The policy `soon` expires after this. */
export const expiryMs = 450;
