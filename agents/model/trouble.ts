/** How model errors are made: which kinds are worth trying again is said once, here. Pure. */
import { ModelError, type ModelErrorKind } from "../../core/errors.ts";

const retryableKinds: ReadonlySet<ModelErrorKind> = new Set([
  "invalid_output",
  "timeout",
  "rate_limited",
  "server_error",
  "broken_stream",
  "unreachable",
]);

export interface TroubleOptions {
  retryable?: boolean;
  retryAfterMs?: number | undefined;
  cause?: unknown;
  usage?: ModelError["usage"] | undefined;
}

/** A ModelError that is retryable as its kind usually is. */
export function trouble(kind: ModelErrorKind, message: string, options: TroubleOptions = {}): ModelError {
  const { retryable = retryableKinds.has(kind), retryAfterMs, cause, usage } = options;
  return new ModelError(kind, message, {
    retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(cause === undefined ? {} : { cause }),
    ...(usage === undefined ? {} : { usage }),
  });
}
