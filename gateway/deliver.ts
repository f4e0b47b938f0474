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
      while (!stop.aborted) {
        const claimedAt = performance.now();
        const entry = await parts.outbox.claim(threadId, parts.ids.next(), parts.sendTimeoutMs * 3);
        if (entry === null) return ringWhenDue(parts, threadId);
        await deliver(parts, entry, { stop, claimedAt, pace });
      }
    },
  };
}

async function ringWhenDue({ outbox, doorbell }: DeliveryParts, threadId: string): Promise<void> {
  const dueMs = await outbox.nextDueMs(threadId);
  if (dueMs !== null) await doorbell.ringDelivery(threadId, Math.ceil(dueMs) + 5);
}

interface Attempt {
  stop: AbortSignal;
  claimedAt: number;
  pace: (channel: Channel, room: string, signal: AbortSignal) => Promise<void>;
}

async function deliver(parts: DeliveryParts, entry: ClaimedEntry, attempt: Attempt): Promise<void> {
  const outcome = await place(parts, entry, attempt);
  if (outcome === null) return;
  const { outboxId: deliveryId, threadId } = entry;
  const { channel } = entry.binding;
  const recorded = await parts.outbox.record(entry, outcome);
  const fields = { deliveryId, threadId, channel, attempt: entry.attempt, outcome: outcome.status, recorded };
  const error = outcome.status === "sent" ? {} : { error: outcome.error };
  parts.logger(outcome.status === "sent" ? "info" : "warn", "delivery", { ...fields, ...error });
  parts.observe({ channel, outcome: outcome.status });
}

/** Null when the attempt was cut off by a stop: the claim dies and the next delivery finds out. */
async function place(
  parts: DeliveryParts,
  entry: ClaimedEntry,
  attempt: Attempt,
): Promise<DeliveryOutcome | null> {
  const channel = parts.channels.get(entry.binding.channel);
  if (channel === undefined) {
    return { status: "failed", error: `no channel "${entry.binding.channel}" is configured` };
  }
  const delivery: Delivery = {
    id: entry.outboxId,
    threadId: entry.threadId,
    kind: entry.kind,
    binding: entry.binding,
    content: entry.content,
    attempt: entry.attempt,
  };
  const signal = AbortSignal.any([attempt.stop, AbortSignal.timeout(parts.sendTimeoutMs)]);
  try {
    const found =
      entry.maybeSent && !channel.sendIsIdempotent ? await channel.find(delivery, signal) : "absent";
    if (found === "unknown") {
      return {
        status: "uncertain",
        error: "an earlier attempt may have arrived, and the platform cannot tell",
      };
    }
    if (found !== "absent") return sent(found);
    await attempt.pace(channel, entry.binding.room, signal);
    // A process that was frozen after the claim may have lost it to another: its time is up before it sends.
    if (performance.now() - attempt.claimedAt > parts.sendTimeoutMs * 2) return null;
    return sent(await channel.send(delivery, signal));
  } catch (error) {
    if (attempt.stop.aborted) return null;
    return afterError(parts, entry, channel, error);
  }
}

const sent = (receipt: Receipt): DeliveryOutcome => ({ status: "sent", receipt: receipt.platformId });

function afterError(
  parts: DeliveryParts,
  entry: ClaimedEntry,
  channel: Channel,
  error: unknown,
): DeliveryOutcome {
  const line = errorLine(error);
  const known = error instanceof DeliveryError && error.outcome === "not_sent";
  const final = error instanceof DeliveryError && !error.retryable;
  // What may have arrived once stays in doubt until somebody looked, whatever the later attempts say.
  const ambiguous = !channel.sendIsIdempotent && (!known || entry.maybeSent);
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

/** Spaces the sends of this process to one room by what the channel takes. What platforms enforce beyond it comes back as a retry. */
function pacer() {
  const nextAt = new Map<string, number>();
  return async (channel: Channel, room: string, signal: AbortSignal): Promise<void> => {
    if (!Number.isFinite(channel.maxSendsPerSecond)) return;
    const key = `${channel.name}\n${room}`;
    const now = performance.now();
    const at = Math.max(now, nextAt.get(key) ?? 0);
    nextAt.delete(key);
    nextAt.set(key, at + 1_000 / channel.maxSendsPerSecond);
    if (nextAt.size > maxRooms) nextAt.delete(nextAt.keys().next().value ?? "");
    if (at > now) await sleep(at - now, undefined, { signal });
  };
}
