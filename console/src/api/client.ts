/**
 * The one way to the gateway: cookies, CSRF header, time limit, and one error class. Nothing here retries; whoever calls
 * decides whether a repeat is safe.
 */
import type { Problem } from "../../../gateway/api.ts";
import { readProblem } from "./problem.ts";

const timeoutMs = 20_000;

export class ApiError extends Error {
  readonly status: number;
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail ?? problem.title, options);
    this.name = "ApiError";
    this.status = problem.status;
    this.problem = problem;
  }

  /** The gateway was not reached or had trouble of its own: the same request may work later. */
  get retryable(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

let csrfToken = "";

/** Set after each sign-in; sent with every request that changes something. */
export function rememberCsrfToken(token: string): void {
  csrfToken = token;
}

export interface RequestOptions {
  method?: "GET" | "POST" | "DELETE";
  body?: unknown;
  signal?: AbortSignal;
}

/** @throws {ApiError} for every answer that is not a success, and for none at all (status 0). */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  const text = await response.text().catch(() => "");
  const body = parse(text);
  if (!response.ok) throw new ApiError(readProblem(response.status, body));
  return body as T;
}

async function send(path: string, { method = "GET", body, signal }: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && csrfToken !== "") headers["x-csrf-token"] = csrfToken;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(unreachable, { cause });
  }
}

const unreachable: Problem = {
  type: "about:blank",
  title: "The gateway cannot be reached",
  status: 0,
  detail: "The gateway cannot be reached. It may be restarting, or your connection is down.",
};

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
