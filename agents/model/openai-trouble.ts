/**
 * The one place that maps what can go wrong with a chat completion to a `ModelErrorKind`: by error type, status and
 * code, as of https://platform.openai.com/docs/guides/error-codes. Bodies and keys stay out of what is returned: a
 * log line may carry the provider's one-line message and nothing more.
 */
import { APIConnectionError, APIError } from "openai";
import { errorLine, ModelError, type ModelErrorKind } from "../../core/errors.ts";
import { trouble } from "./trouble.ts";

/**
 * @param phase `answering` once the response has begun: from then on a lost connection is a broken stream.
 * @param secret is blotted out of the message, because servers repeat the key they refuse.
 */
export function troubleOf(
  error: unknown,
  { phase, secret, nowMs }: { phase: "asking" | "answering"; secret: string; nowMs: number },
): ModelError {
  if (error instanceof ModelError) return error;
  if (error instanceof APIError && !(error instanceof APIConnectionError)) {
    return refusedRequest(error, secret, nowMs);
  }
  const code = networkCode(error);
  const line = code ?? errorLine(error, 200);
  if (phase === "answering")
    return trouble("broken_stream", `the answer broke off: ${line}`, { cause: error });
  if (code === "UND_ERR_HEADERS_TIMEOUT") {
    return trouble("timeout", "no answer within the HTTP client's limit", { cause: error });
  }
  return trouble("unreachable", `no connection to the model: ${line}`, { cause: error });
}

function refusedRequest(error: APIError, secret: string, nowMs: number): ModelError {
  const status = statusOf(error);
  const kind = kindOfCode(error) ?? kindOfStatus(status);
  // Money does not come back by waiting.
  const outOfCredit = error.code === "insufficient_quota" || status === 402;
  return trouble(kind, messageOf(error, status, secret), {
    ...(outOfCredit ? { retryable: false } : {}),
    retryAfterMs: retryAfterMs(error.headers, nowMs),
  });
}

/** An error inside a stream has no status of its own; some servers put one into its `code`. */
function statusOf(error: APIError): number | undefined {
  if (typeof error.status === "number") return error.status;
  const code: unknown = error.code;
  return typeof code === "number" && code >= 400 && code <= 599 ? code : undefined;
}

const kindsByCode: Readonly<Record<string, ModelErrorKind>> = {
  context_length_exceeded: "context_length",
  exceed_context_size_error: "context_length",
  content_filter: "content_filter",
  content_policy_violation: "content_filter",
  invalid_api_key: "unauthorized",
  authentication_error: "unauthorized",
  permission_error: "unauthorized",
  rate_limit_exceeded: "rate_limited",
  rate_limit_error: "rate_limited",
  insufficient_quota: "rate_limited",
  server_error: "server_error",
  overloaded_error: "server_error",
};

function kindOfCode(error: APIError): ModelErrorKind | null {
  for (const code of [error.code, error.type]) {
    if (typeof code === "string" && Object.hasOwn(kindsByCode, code)) return kindsByCode[code] ?? null;
  }
  // vLLM reports a full context as a plain 400 whose code is a number: its words are the only sign there is.
  const coded = typeof error.code === "string" && error.code !== "";
  return !coded && error.status === 400 && /maximum context length/i.test(error.message)
    ? "context_length"
    : null;
}

function kindOfStatus(status: number | undefined): ModelErrorKind {
  switch (status) {
    case 401:
    case 403:
      return "unauthorized";
    case 402:
    case 429:
      return "rate_limited";
    case 408:
      return "timeout";
    case 409:
    case undefined:
      return "server_error";
    case 413:
      return "context_length";
    default:
      return status >= 500 ? "server_error" : "bad_request";
  }
}

/** The status, the code and the first words of a JSON error. An HTML page is not repeated. */
function messageOf(error: APIError, status: number | undefined, secret: string): string {
  const body: unknown = error.error;
  const said = typeof body === "object" && body !== null && "message" in body ? body.message : undefined;
  const parts = [
    status === undefined ? "error in the stream" : `HTTP ${status}`,
    error.code ?? error.type,
    typeof said === "string" ? errorLine(said, 200) : undefined,
  ];
  const line = parts.filter((part) => part !== undefined && part !== null).join(": ");
  return secret === "" ? line : line.replaceAll(secret, "[key]");
}

/** RFC 9110 section 10.2.3: seconds or a date. `retry-after-ms` is OpenAI's finer one. */
function retryAfterMs(headers: Headers | undefined, nowMs: number): number | undefined {
  const exact = headers?.get("retry-after-ms") ?? "";
  if (/^\d+(\.\d+)?$/.test(exact.trim())) return bounded(Number(exact));
  const value = (headers?.get("retry-after") ?? "").trim();
  if (/^\d+(\.\d+)?$/.test(value)) return bounded(Number(value) * 1_000);
  const dateMs = value === "" ? Number.NaN : Date.parse(value);
  return Number.isNaN(dateMs) ? undefined : bounded(dateMs - nowMs);
}

const maxRetryAfterMs = 24 * 60 * 60_000;
const bounded = (waitMs: number): number => Math.min(Math.max(0, Math.ceil(waitMs)), maxRetryAfterMs);

/** Node's or undici's code, wherever in the chain of causes it is. */
function networkCode(error: unknown): string | null {
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    if ("code" in current && typeof current.code === "string") return current.code;
    current = current instanceof AggregateError ? (current.errors[0] ?? current.cause) : current.cause;
  }
  return null;
}
