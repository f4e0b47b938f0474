/**
 * The few error kinds of the program. Each says whether trying again can help, and carries a text that is safe
 * to show a stranger; what went wrong inside is in `message` and `cause`, for the log.
 */
export interface ParleyErrorOptions {
  /** What was being done, in a few words: "claim delivery", "call model". */
  operation: string;
  /** Safe to show to anyone. */
  publicText: string;
  retryable?: boolean;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

export class ParleyError extends Error {
  readonly operation: string;
  readonly publicText: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: ParleyErrorOptions) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.operation = options.operation;
    this.publicText = options.publicText;
    this.retryable = options.retryable ?? true;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** What is asked for does not exist, is not allowed, or contradicts what is: trying again changes nothing. */
export class RefusedError extends ParleyError {
  readonly reason:
    | "invalid"
    | "unauthorized"
    | "forbidden"
    | "not_found"
    | "conflict"
    | "too_large"
    | "rate_limited";

  constructor(
    reason: RefusedError["reason"],
    publicText: string,
    options: { operation: string; cause?: unknown; retryAfterMs?: number },
  ) {
    super(publicText, { ...options, publicText, retryable: reason === "rate_limited" });
    this.reason = reason;
  }
}

/** Another worker holds the thread now. Whatever this worker still wanted to write must be dropped. */
export class StaleLeaseError extends ParleyError {
  constructor(threadId: string) {
    super(`the lease on thread ${threadId} was taken over`, {
      operation: "commit",
      publicText: "Another worker has taken over.",
      retryable: false,
    });
  }
}

/** A send that failed. `unknown`: the request was written and nobody can say whether it arrived. */
export class DeliveryError extends ParleyError {
  readonly outcome: "not_sent" | "unknown";

  constructor(message: string, options: ParleyErrorOptions & { outcome: "not_sent" | "unknown" }) {
    super(message, options);
    this.outcome = options.outcome;
  }
}

/** The kinds of trouble a model call can end in; each has its own way on in the loop. */
export type ModelErrorKind =
  | "refusal"
  | "length"
  | "content_filter"
  | "invalid_output"
  | "timeout"
  | "rate_limited"
  | "server_error"
  | "broken_stream"
  | "context_length"
  | "unauthorized"
  | "bad_request"
  | "unreachable";

export class ModelError extends ParleyError {
  readonly kind: ModelErrorKind;
  /** Tokens that were spent although no step came of it. */
  readonly usage: { inputTokens: number; outputTokens: number; costUsd?: number | null } | undefined;

  constructor(
    kind: ModelErrorKind,
    message: string,
    options: { retryable: boolean; retryAfterMs?: number; cause?: unknown; usage?: ModelError["usage"] },
  ) {
    super(message, { ...options, operation: "call model", publicText: modelErrorTexts[kind] });
    this.kind = kind;
    this.usage = options.usage;
  }
}

const modelErrorTexts: Record<ModelErrorKind, string> = {
  refusal: "The model declined to answer.",
  length: "The model's answer was cut off.",
  content_filter: "The model's provider filtered the answer.",
  invalid_output: "The model's answer did not have the agreed form.",
  timeout: "The model took too long.",
  rate_limited: "The model's provider asked us to slow down.",
  server_error: "The model's provider had an error.",
  broken_stream: "The connection to the model broke off.",
  context_length: "The conversation is too long for the model.",
  unauthorized: "The model's provider did not accept our key.",
  bad_request: "The model's provider did not accept the request.",
  unreachable: "The model's provider could not be reached.",
};

/** One line of at most `maxCharacters`, without a stack: what a log line or the next step may carry of an error. */
export function errorLine(error: unknown, maxCharacters = 300): string {
  const text = error instanceof Error ? `${error.message}` : plain(error);
  const line = text.replace(/\s+/g, " ").trim() || "unknown error";
  return line.length <= maxCharacters ? line : `${line.slice(0, maxCharacters - 1)}…`;
}

/** Anything can be thrown, even what has no text of its own. */
function plain(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "unknown error";
  }
}
