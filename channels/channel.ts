/**
 * The contract of a channel: one platform, its wire format, and nothing else. A channel knows nothing of agents,
 * queues or the database. tests/contract/ holds the suite that every channel passes.
 */
import type { JsonObject } from "../core/json.ts";
import type { OutboxKind } from "../core/ports.ts";
import type { Attachment, Binding, Sender } from "../core/words.ts";

/** What a platform told us, normalized. */
export interface InboundEvent {
  kind: "message";
  binding: Binding;
  /** Unique for the channel and account: the platform's own event or message id. */
  dedupeKey: string;
  messageId: string;
  sender: Sender;
  text: string;
  attachments: Attachment[];
}

/** Stores the event durably. Acknowledge the platform only after this resolves; it rejects when nothing was stored. */
export type Accept = (event: InboundEvent) => Promise<void>;

/** One attempt to place one outbox entry. */
export interface Delivery {
  /** The outbox entry's id: stable over all attempts, the idempotency key where a platform takes one. */
  readonly id: string;
  readonly threadId: string;
  readonly kind: OutboxKind;
  readonly binding: Binding;
  readonly content: JsonObject;
  /** 1 for the first attempt. */
  readonly attempt: number;
}

/** The platform's name for what was placed. */
export interface Receipt {
  readonly platformId: string;
}

export type Ingress =
  | { kind: "webhook"; path: string; receive(request: Request, accept: Accept): Promise<Response> }
  | { kind: "stream"; run(accept: Accept, signal: AbortSignal): Promise<void> }
  /** Messages come through the API, which calls `accept` itself. */
  | { kind: "api" };

export interface Channel {
  readonly name: string;
  readonly ingress: Ingress;
  /** Sends a second: what the platform takes for one room. The delivery spaces its sends by it. */
  readonly maxSendsPerSecond: number;
  /** Whether repeating a send with the same `delivery.id` is harmless at this platform. */
  readonly sendIsIdempotent: boolean;

  /**
   * Places one outbound message. May be called again with the same `delivery.id` after a crash.
   * @throws {DeliveryError} for every refusal; SDK errors never escape.
   */
  send(delivery: Delivery, signal: AbortSignal): Promise<Receipt>;

  /**
   * Looks for a message that an earlier attempt may have placed. `unknown` when the platform cannot tell.
   * @throws {DeliveryError} when the look-up itself failed.
   */
  find(delivery: Delivery, signal: AbortSignal): Promise<Receipt | "absent" | "unknown">;
}
