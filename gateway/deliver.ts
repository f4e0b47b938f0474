/**
 * Delivery: places a thread's outbox entries, oldest first, one at a time.
 *
 * A row is claimed before it is sent and its outcome recorded after. A kill in between leaves a dead claim: the next
 * delivery asks the platform whether the message arrived before it sends again, and where nobody can tell, the entry
 * becomes `uncertain` and a person sees it. Nothing is ever resent blindly.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Channel, Delivery, Receipt } from "../channels/channel.ts";
import { DeliveryError, errorLine } from "../core/errors.ts";
import type { Doorbell, Ids, Log } from "../core/ports.ts";
import type { Binding } from "../core/words.ts";
import type { ClaimedEntry, DeliveryOutcome, Outbox } from "../store/outbox.ts";

export interface DeliveryParts {
  outbox: Outbox;
  channels: ReadonlyMap<string, Channel>;
  doorbell: Doorbell;
  ids: Ids;
  logger: Log;
  maxAttempts: number;
  firstRetryMs: number;
  longestRetryMs: number;
  /** How long one send may take; a claim lives three times as long. */
  sendTimeoutMs: number;
  observe(fact: { channel: string; outcome: DeliveryOutcome["status"] }): void;
}

export interface Deliverer {
  /** Delivers what is due in this thread. Safe to call any number of times, by any worker. */
  deliverThread(threadId: string, stop: AbortSignal): Promise<void>;
}

export function deliverer(parts: DeliveryParts): Deliverer {
  const pace = pacer();
  return {
    async deliverThread(threadId, stop) {
      const { outbox, doorbell, ids } = parts;
      while (!stop.aborted) {
        const claimedAt = performance.now();
        const entry = await outbox.claim(threadId, ids.next(), parts.sendTimeoutMs * 3);
        if (entry !== null) await deliver(parts, entry, { stop, claimedAt, pace });
        const dueMs = await outbox.nextDueMs(threadId);
        if (dueMs === null) return;
        if (dueMs > 0 || entry === null) return doorbell.ringDelivery(threadId, Math.ceil(dueMs) + 5);
      }
    },
  };
}

interface Attempt {
  stop: AbortSignal;
  claimedAt: number;
  pace: Pace;
}

async function deliver(parts: DeliveryParts, entry: ClaimedEntry, attempt: Attempt): Promise<void> {
  const outcome = await place(parts, entry, attempt);
  if (outcome === null) return;
  const { outboxId: deliveryId, threadId } = entry;
  const { channel } = entry.binding;
  const recorded = await parts.outbox.record(entry, outcome);
  const fields = { deliveryId, threadId, channel, attempt: entry.attempt, outcome: outcome.status, recorded };
  if (outcome.status === "pending" && outcome.untried === true) {
    parts.logger("debug", "delivery_postponed", { ...fields, reason: outcome.error });
    return;
  }
  const error = outcome.status === "sent" ? {} : { error: outcome.error };
  parts.logger(outcome.status === "sent" ? "info" : "warn", "delivery", { ...fields, ...error });
  parts.observe({ channel, outcome: outcome.status });
}

/** Null when a stop cut off the send itself: the claim dies, and the next delivery finds out what became of it. */
async function place(
  parts: DeliveryParts,
  entry: ClaimedEntry,
  attempt: Attempt,
): Promise<DeliveryOutcome | null> {
  const channel = parts.channels.get(entry.binding.channel);
  if (channel === undefined) {
    const error = `no channel "${entry.binding.channel}" is configured`;
    return { status: entry.maybeSent ? "uncertain" : "failed", error };
  }
  const placing: Placing = { parts, entry, channel, attempt, inDoubt: entry.maybeSent };
  try {
    return (await lookUp(placing)) ?? (await wait(placing)) ?? (await send(placing));
  } catch (error) {
    if (!attempt.stop.aborted) return afterError(placing, error);
    return placing.sending === true ? null : postponed(placing, 0, "this worker stops");
  }
}

interface Placing {
  readonly parts: DeliveryParts;
  readonly entry: ClaimedEntry;
  readonly channel: Channel;
  readonly attempt: Attempt;
  /** An attempt may have arrived, and nobody has found out. */
  inDoubt: boolean;
  sending?: boolean;
}

const deliveryOf = ({ entry }: Placing): Delivery => ({
  id: entry.outboxId,
  threadId: entry.threadId,
  kind: entry.kind,
  binding: entry.binding,
  content: entry.content,
  attempt: entry.attempt,
});

const limited = ({ parts, attempt }: Placing): AbortSignal =>
  AbortSignal.any([attempt.stop, AbortSignal.timeout(parts.sendTimeoutMs)]);

/** Asks the platform for what an earlier attempt may have placed. Null when it is certain that there is nothing. */
async function lookUp(placing: Placing): Promise<DeliveryOutcome | null> {
  const { channel, entry } = placing;
  if (!entry.maybeSent || channel.sendIsIdempotent) return null;
  const found = await channel.find(deliveryOf(placing), limited(placing));
  if (found === "unknown") {
    return {
      status: "uncertain",
      error: "an earlier attempt may have arrived, and the platform cannot tell",
    };
  }
  if (found !== "absent") return sent(found);
  placing.inDoubt = false;
  return null;
}

/** Waits for the room's turn, as long as the claim leaves time to send. */
async function wait(placing: Placing): Promise<DeliveryOutcome | null> {
  const { parts, entry, channel, attempt } = placing;
  const lastStartAt = attempt.claimedAt + parts.sendTimeoutMs * 2;
  const pausedMs = await attempt.pace(channel, entry.binding, { lastStartAt, signal: attempt.stop });
  if (pausedMs > 0) return postponed(placing, pausedMs, "the room takes no more at the moment");
  // A process that was frozen after the claim may have lost it to another: its time is up before it sends.
  return performance.now() > lastStartAt ? postponed(placing, 0, "the claim's time was up") : null;
}

async function send(placing: Placing): Promise<DeliveryOutcome> {
  placing.sending = true;
  return sent(await placing.channel.send(deliveryOf(placing), limited(placing)));
}

/** Nothing was sent, so it does not count as an attempt. Where the claim was taken over, recording it changes nothing. */
const postponed = ({ inDoubt }: Placing, retryInMs: number, error: string): DeliveryOutcome => ({
  status: "pending",
  error,
  retryInMs: Math.ceil(retryInMs),
  ambiguous: inDoubt,
  untried: true,
});

const sent = (receipt: Receipt): DeliveryOutcome => ({ status: "sent", receipt: receipt.platformId });

function afterError({ parts, entry, inDoubt }: Placing, error: unknown): DeliveryOutcome {
  const line = errorLine(error);
  const refused = error instanceof DeliveryError && error.outcome === "not_sent";
  const final = error instanceof DeliveryError && !error.retryable;
  // What may have arrived once stays in doubt until somebody looked, whatever the later attempts say.
  const ambiguous = inDoubt || !refused;
  if (final || entry.attempt >= parts.maxAttempts) {
    return { status: ambiguous ? "uncertain" : "failed", error: line };
  }
  const asked = error instanceof DeliveryError ? (error.retryAfterMs ?? 0) : 0;
  const backoff = Math.min(parts.firstRetryMs * 3 ** (entry.attempt - 1), parts.longestRetryMs);
  const retryInMs = Math.round(Math.max(asked, backoff * (0.75 + Math.random() / 2)));
  return { status: "pending", error: line, retryInMs, ambiguous };
}

/** Rooms whose last send is remembered; the oldest are forgotten first. */
const maxRooms = 10_000;

/** Resolves with 0 when it is the room's turn, or with the ms until then when that is after `lastStartAt`. */
type Pace = (
  channel: Channel,
  { account, room }: Binding,
  options: { lastStartAt: number; signal: AbortSignal },
) => Promise<number>;

/** Spaces the sends of this process to one room by what the channel takes. What platforms enforce beyond it comes back as a retry. */
function pacer(): Pace {
  const nextAt = new Map<string, number>();
  return async (channel, { account, room }, { lastStartAt, signal }) => {
    if (!Number.isFinite(channel.maxSendsPerSecond)) return 0;
    const key = JSON.stringify([channel.name, account, room]);
    const now = performance.now();
    const at = Math.max(now, nextAt.get(key) ?? 0);
    if (at > lastStartAt) return at - now;
    nextAt.delete(key);
    nextAt.set(key, at + 1_000 / channel.maxSendsPerSecond);
    if (nextAt.size > maxRooms) nextAt.delete(nextAt.keys().next().value ?? "");
    if (at > now) await sleep(at - now, undefined, { signal });
    return 0;
  };
}
