/**
 * Delivers what this worker has just committed here and now, without the way through the queue: that saves a job and its
 * round trips for each reply. The claim in the database keeps deliveries apart as ever, whoever rings. What a kill leaves
 * is found by the sweeper like any other lost ring, and when this worker has too much to send, the queue is rung.
 */
import { setMaxListeners } from "node:events";
import { errorLine } from "../core/errors.ts";
import type { Doorbell, Log } from "../core/ports.ts";
import { settlesWithin } from "../queue/bounded.ts";
import type { Deliverer } from "./deliver.ts";

export interface NearDeliveryParts extends Deliverer {
  doorbell: Doorbell;
  logger: Log;
  /** Threads that are delivered to here at once; further ones go through the queue. */
  most: number;
}

export interface NearDelivery {
  /** For the loop: a ring for now is answered here, every other one goes through the queue. */
  readonly doorbell: Doorbell;
  /** Takes nothing more, gives what runs `graceMs`, then cuts it off and rings for it. Ends at most a second later. */
  stop(graceMs: number): Promise<void>;
}

const abortWaitMs = 1_000;

export function nearDelivery({ deliverThread, doorbell, logger, most }: NearDeliveryParts): NearDelivery {
  const cut = new AbortController();
  setMaxListeners(0, cut.signal);
  const running = new Map<string, { rungAgain: boolean; ended: Promise<void> }>();
  let stopping = false;

  async function deliver(threadId: string): Promise<void> {
    try {
      do {
        const own = running.get(threadId);
        if (own !== undefined) own.rungAgain = false;
        await deliverThread(threadId, cut.signal);
      } while (running.get(threadId)?.rungAgain === true && !cut.signal.aborted);
    } catch (error) {
      logger("error", "queue.handler_failed", { kind: "deliveries", id: threadId, error: errorLine(error) });
    }
    running.delete(threadId);
  }

  return {
    doorbell: {
      ...doorbell,
      async ringDelivery(threadId, delayMs = 0, lost = false) {
        if (delayMs > 0 || lost || stopping) return doorbell.ringDelivery(threadId, delayMs, lost);
        const own = running.get(threadId);
        if (own !== undefined) own.rungAgain = true;
        else if (running.size >= most) return doorbell.ringDelivery(threadId);
        else {
          // Entered before it begins: the first thing that it does is to look itself up.
          const begun = { rungAgain: false, ended: Promise.resolve() };
          running.set(threadId, begun);
          begun.ended = deliver(threadId);
        }
      },
    },
    async stop(graceMs) {
      stopping = true;
      const ended = Promise.all([...running.values()].map((each) => each.ended));
      if (await settlesWithin(ended, graceMs)) return;
      const short = [...running.keys()];
      cut.abort();
      await settlesWithin(ended, abortWaitMs);
      await Promise.all(short.map((threadId) => doorbell.ringDelivery(threadId)));
    },
  };
}
