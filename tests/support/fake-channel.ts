/**
 * A channel to a platform that lives in memory: it keeps its own ledger of what was placed, and does what a test says with
 * each send. Everything that the delivery promises is read from the ledger.
 */
import type { Channel, Delivery } from "../../channels/channel.ts";
import { DeliveryError } from "../../core/errors.ts";

/**
 * What the platform does with one send. `drop`: it places the message and then the connection is lost; `lose`: the same,
 * but nothing was placed; `hang`: it places the message and never answers; `break`: an error that is no DeliveryError.
 */
export type Behaviour =
  | "place"
  | "refuse"
  | "refuse_for_good"
  | { refuseForMs: number }
  | "drop"
  | "lose"
  | "hang"
  | "break";

export interface FakeChannelOptions {
  name?: string;
  sendIsIdempotent?: boolean;
  /** Whether the platform can tell what it has. */
  canFind?: boolean;
  maxSendsPerSecond?: number;
}

export interface FakeChannel extends Channel {
  /** What people see there, in order. */
  readonly placed: { deliveryId: string; platformId: string; text: string; atMs: number }[];
  /** Every send that reached the platform. */
  readonly sends: { deliveryId: string; attempt: number; atMs: number }[];
  readonly lookUps: string[];
  /** What the next sends do, in order; after that they place. */
  next(...behaviours: Behaviour[]): void;
}

export function fakeChannel(options: FakeChannelOptions = {}): FakeChannel {
  const {
    name = "fake",
    sendIsIdempotent = false,
    canFind = true,
    maxSendsPerSecond = Number.POSITIVE_INFINITY,
  } = options;
  const placed: FakeChannel["placed"] = [];
  const sends: FakeChannel["sends"] = [];
  const lookUps: string[] = [];
  const script: Behaviour[] = [];

  function place({ id, content }: Delivery): string {
    const known = placed.find(({ deliveryId }) => deliveryId === id);
    if (sendIsIdempotent && known !== undefined) return known.platformId;
    const platformId = `m${placed.length + 1}`;
    placed.push({ deliveryId: id, platformId, text: String(content.text), atMs: performance.now() });
    return platformId;
  }

  return {
    name,
    ingress: { kind: "api" },
    maxSendsPerSecond,
    sendIsIdempotent,
    placed,
    sends,
    lookUps,
    next: (...behaviours) => void script.push(...behaviours),

    async send(delivery, signal) {
      if (signal.aborted) throw notSent("the signal had fired");
      sends.push({ deliveryId: delivery.id, attempt: delivery.attempt, atMs: performance.now() });
      const behaviour = script.shift() ?? "place";
      if (behaviour === "refuse") throw notSent("busy");
      if (behaviour === "refuse_for_good") throw notSent("no such room", { retryable: false });
      if (typeof behaviour === "object") throw notSent("slow down", { retryAfterMs: behaviour.refuseForMs });
      if (behaviour === "break") throw new TypeError("a defect in the adapter");
      if (behaviour === "lose") throw unknown("the connection was lost");
      const platformId = place(delivery);
      if (behaviour === "drop") throw unknown("the connection was lost");
      if (behaviour === "hang") await fired(signal);
      return { platformId };
    },

    async find({ id }, signal) {
      if (signal.aborted) throw notSent("the signal had fired");
      lookUps.push(id);
      if (!canFind) return "unknown";
      const found = placed.find(({ deliveryId }) => deliveryId === id);
      return found === undefined ? "absent" : { platformId: found.platformId };
    },
  };
}

const notSent = (line: string, more: { retryable?: boolean; retryAfterMs?: number } = {}): DeliveryError =>
  new DeliveryError(line, { operation: "send", publicText: "Not sent.", outcome: "not_sent", ...more });

const unknown = (line: string): DeliveryError =>
  new DeliveryError(line, { operation: "send", publicText: "Nobody knows.", outcome: "unknown" });

const fired = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(unknown("no answer")), { once: true });
  });
