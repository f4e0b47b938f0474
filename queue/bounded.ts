/** Every wait of the queue ends: on its own, or at a limit. */
import { setTimeout as sleep } from "node:timers/promises";
import { ParleyError } from "../core/errors.ts";

/** Settles as `work` does, or rejects after `limitMs`. The work itself is not stopped: its late result is dropped. */
export async function within<T>(work: Promise<T>, limitMs: number, operation: string): Promise<T> {
  const limit = new AbortController();
  const expired = sleep(limitMs, undefined, { signal: limit.signal }).then(() => {
    throw new ParleyError(`${operation}: no answer within ${limitMs} ms`, {
      operation,
      publicText: "The queue does not answer.",
    });
  });
  expired.catch(() => undefined);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, expired]);
  } finally {
    limit.abort();
  }
}

/** True when `work` settled, either way, within `limitMs`. Never rejects. */
export async function settlesWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const settled = work.then(
    () => true,
    () => true,
  );
  const limit = new AbortController();
  const expired = sleep(limitMs, false, { signal: limit.signal }).catch(() => false);
  try {
    return await Promise.race([settled, expired]);
  } finally {
    limit.abort();
  }
}

/** A delay that doubles from `firstMs` to `mostMs`, with jitter, so that many processes do not come back at once. */
export function backoffMs(attempt: number, firstMs: number, mostMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(attempt, 20), mostMs) * (0.5 + Math.random() / 2);
}
