/** Every wait of the queue ends: on its own, or at a limit. */
import { ParleyError } from "../core/errors.ts";

/** Settles as `work` does, or rejects after `limitMs`. The work itself is not stopped: its late result is dropped. */
export function within<T>(work: Promise<T>, limitMs: number, operation: string): Promise<T> {
  // A plain timer: each message rings through here, and an aborted sleep costs an error with its stack each time.
  return new Promise((resolve, reject) => {
    const expire = (): void =>
      reject(
        new ParleyError(`${operation}: no answer within ${limitMs} ms`, {
          operation,
          publicText: "The queue does not answer.",
        }),
      );
    const limit = setTimeout(expire, limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(limit));
  });
}

/** True when `work` settled, either way, within `limitMs`. Never rejects. */
export function settlesWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const limit = setTimeout(() => resolve(false), limitMs);
    const settled = (): void => {
      clearTimeout(limit);
      resolve(true);
    };
    work.then(settled, settled);
  });
}

/** A delay that doubles from `firstMs` to `mostMs`, with jitter, so that many processes do not come back at once. */
export function backoffMs(attempt: number, firstMs: number, mostMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(attempt, 20), mostMs) * (0.5 + Math.random() / 2);
}
