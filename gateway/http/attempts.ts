/**
 * Failed sign-ins, counted for each address and in all. Kept in memory and bounded: a restart forgives, which is fine against
 * guessing 256 random bits.
 */

import { RefusedError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

const windowMs = 5 * 60_000;
const maxAddresses = 10_000;

export interface Attempts {
  /** Counts one attempt before it is checked, so that parallel guesses do not slip through. @throws {RefusedError} `rate_limited` */
  begin(address: string): void;
  /** It was no guess. */
  forgive(address: string): void;
}

export function signInAttempts(clock: Clock, most = { perAddress: 10, inAll: 200 }): Attempts {
  let startedMs = clock.now().getTime();
  let total = 0;
  const byAddress = new Map<string, number>();

  const roll = (nowMs: number): void => {
    if (nowMs - startedMs < windowMs) return;
    startedMs = nowMs;
    total = 0;
    byAddress.clear();
  };

  return {
    begin(address) {
      const nowMs = clock.now().getTime();
      roll(nowMs);
      const count = byAddress.get(address) ?? 0;
      const full = byAddress.size >= maxAddresses && count === 0;
      if (count >= most.perAddress || total >= most.inAll || full) {
        throw new RefusedError("rate_limited", "Too many attempts to sign in. Wait a few minutes.", {
          operation: "sign in",
          retryAfterMs: startedMs + windowMs - nowMs,
        });
      }
      byAddress.set(address, count + 1);
      total += 1;
    },
    forgive(address) {
      const count = byAddress.get(address) ?? 0;
      if (count === 0) return;
      byAddress.set(address, count - 1);
      total -= 1;
    },
  };
}
