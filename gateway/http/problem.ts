/**
 * Every error as problem+json (RFC 9457), and the one place where our error kinds become statuses. What went wrong inside
 * stays in the log, under the id that the answer names.
 */
import type { z } from "zod";
import { errorLine, ParleyError, RefusedError } from "../../core/errors.ts";
import type { Problem } from "../api.ts";
import type { HttpDeps } from "./deps.ts";

/** A refusal that only HTTP knows: a wrong method, media type, host. */
export class HttpRefusal extends ParleyError {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly errors: Problem["errors"] | undefined;

  constructor(
    status: number,
    publicText: string,
    options: { headers?: Record<string, string>; errors?: Problem["errors"] } = {},
  ) {
    super(publicText, {
      operation: "answer request",
      publicText,
      retryable: status === 503 || status === 429,
    });
    this.status = status;
    this.headers = options.headers ?? {};
    this.errors = options.errors;
  }
}

const statuses: Record<RefusedError["reason"], number> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  rate_limited: 429,
};

const titles: Record<number, string> = {
  400: "The request is not valid",
  401: "Not signed in",
  403: "Not allowed",
  404: "Not found",
  405: "Method not allowed",
  409: "In conflict with what is",
  413: "Too large",
  415: "Unsupported media type",
  421: "Wrong host",
  429: "Too many requests",
  500: "Something went wrong here",
  503: "Not available right now",
};

export function problemResponse(
  problem: Omit<Problem, "type" | "title">,
  headers: Record<string, string> = {},
): Response {
  const title = titles[problem.status] ?? "Error";
  const type = `urn:parley:problem:${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return new Response(JSON.stringify({ type, title, ...problem }), {
    status: problem.status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
  });
}

/** @param errorId names a failure of ours in the answer and in the log. */
export function answerError(error: unknown, deps: Pick<HttpDeps, "logger">, errorId: string): Response {
  if (error instanceof HttpRefusal) {
    const { status, publicText: detail, headers, errors } = error;
    return problemResponse({ status, detail, ...(errors === undefined ? {} : { errors }) }, headers);
  }
  if (error instanceof RefusedError) {
    const status = statuses[error.reason];
    return problemResponse({ status, detail: error.publicText }, refusalHeaders(status, error));
  }
  const temporary = error instanceof ParleyError && error.retryable;
  const operation = error instanceof ParleyError ? error.operation : "answer request";
  deps.logger("error", "request_failed", { errorId, operation, error: errorLine(error) });
  const detail = error instanceof ParleyError ? error.publicText : "The log has more under this id.";
  const instance = `urn:uuid:${errorId}`;
  return temporary
    ? problemResponse({ status: 503, detail, instance }, { "retry-after": retryAfter(error, 2) })
    : problemResponse({ status: 500, detail, instance });
}

function refusalHeaders(status: number, error: RefusedError): Record<string, string> {
  // RFC 9110, 11.6.1: a 401 names how to authenticate. 413: the rest of the body will not be read.
  if (status === 401) return { "www-authenticate": 'Bearer realm="parley"' };
  if (status === 413) return { connection: "close" };
  if (status === 429) return { "retry-after": retryAfter(error, 60) };
  return {};
}

const retryAfter = (error: ParleyError, defaultSeconds: number): string =>
  String(Math.max(1, Math.ceil((error.retryAfterMs ?? defaultSeconds * 1_000) / 1_000)));

/** What did not fit, member by member. Zod's messages name expectations, never the value. */
export function invalidInput(where: string, error: z.ZodError): HttpRefusal {
  const errors = error.issues.slice(0, 20).map((issue) => ({
    path: [where, ...issue.path].join("."),
    message: issue.message,
  }));
  return new HttpRefusal(400, `${errors[0]?.path ?? where}: ${errors[0]?.message ?? "not valid"}`, {
    errors,
  });
}

export function refuse(reason: RefusedError["reason"], publicText: string): RefusedError {
  return new RefusedError(reason, publicText, { operation: "answer request" });
}
