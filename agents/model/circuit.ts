/**
 * Remembers that an endpoint is down, so that not every step waits for it to fail again. An optimisation and nothing
 * more: it lives in this process, a crash forgets it, and with no backup to turn to nobody asks it.
 *
 *   closed ──failures in a row──▶ open ──pause over──▶ one try ──success──▶ closed
 *                                  ▲                      │
 *                                  └───────failure────────┘
 */
import type { ModelErrorKind } from "../../core/errors.ts";

export interface Circuit {
  /** False while the endpoint should be left alone. */
  allows(): boolean;
  succeeded(): void;
  failed(kind: ModelErrorKind): void;
}

/** Trouble of the endpoint as a whole, not of one request. */
const endpointTrouble: ReadonlySet<ModelErrorKind> = new Set(["unreachable", "server_error", "unauthorized"]);

export interface CircuitOptions {
  maxFailures?: number;
  pauseMs?: number;
  /** Milliseconds of any monotonic clock. */
  nowMs?: () => number;
}

export function openCircuit(options: CircuitOptions = {}): Circuit {
  const { maxFailures = 3, pauseMs = 30_000, nowMs = () => performance.now() } = options;
  let failures = 0;
  let openUntilMs = Number.NEGATIVE_INFINITY;
  return {
    allows: () => nowMs() >= openUntilMs,
    succeeded: () => {
      failures = 0;
      openUntilMs = Number.NEGATIVE_INFINITY;
    },
    failed: (kind) => {
      failures = endpointTrouble.has(kind) ? failures + 1 : 0;
      if (failures >= maxFailures) openUntilMs = nowMs() + pauseMs;
    },
  };
}
