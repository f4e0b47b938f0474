/**
 * Talks to a running Parley. Every call is bounded in time; nothing is repeated here, because only the caller knows
 * whether repeating is harmless.
 */
import type { z } from "zod";
import type { Address } from "../gateway/config/index.ts";
import { problemSchema } from "./answers.ts";
import { CommandError, exitCodes } from "./exit.ts";

const requestTimeoutMs = 30_000;
const maxPages = 1_000;

export interface ApiClient {
  readonly url: string;
  get<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>>;
  post<T extends z.ZodType>(path: string, body: object, schema: T): Promise<z.output<T>>;
  /** An open event stream. @throws {CommandError} when it cannot be opened. */
  stream(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

export function apiClient({ url, token }: Address): ApiClient {
  const headers = (accept: string): Record<string, string> => ({
    accept,
    ...(token === null ? {} : { authorization: `Bearer ${token.reveal()}` }),
  });

  async function send(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${url}${path}`, { redirect: "error", ...init });
    } catch (error) {
      if (init.signal?.aborted === true && init.signal.reason?.name !== "TimeoutError") throw error;
      throw unreachable(url, error);
    }
    if (!response.ok) throw await refusal(response, token === null);
    return response;
  }

  async function json<T extends z.ZodType>(path: string, init: RequestInit, schema: T): Promise<z.output<T>> {
    const response = await send(path, { signal: AbortSignal.timeout(requestTimeoutMs), ...init });
    const text = await response.text();
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const place = parsed.error.issues[0]?.path.join(".") ?? "";
    throw new CommandError(
      exitCodes.failed,
      `${url}${path} answered in a form that this version does not know${place === "" ? "" : ` (at ${place})`}. Is it a Parley of the same version?`,
    );
  }

  return {
    url,
    get: (path, schema) => json(path, { headers: headers("application/json") }, schema),
    post: (path, body, schema) =>
      json(
        path,
        {
          method: "POST",
          headers: { ...headers("application/json"), "content-type": "application/json" },
          body: JSON.stringify(body),
        },
        schema,
      ),
    async stream(path, signal) {
      const { body } = await send(path, { headers: headers("text/event-stream"), signal });
      if (body === null) throw new CommandError(exitCodes.failed, `${url}${path} gave an empty answer.`);
      return body as ReadableStream<Uint8Array>;
    },
  };
}

/** All items of a list, page by page, at most `limit`. */
export async function listAll<T>(
  fetchPage: (cursor: string | null) => Promise<{ items: T[]; next: string | null }>,
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < maxPages; page++) {
    const { items: more, next } = await fetchPage(cursor);
    items.push(...more);
    if (next === null || items.length >= limit) break;
    cursor = next;
  }
  return items.slice(0, limit);
}

/** A path with those parameters that are set. */
export function withQuery(
  path: string,
  parameters: { [name: string]: string | number | null | undefined },
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query}`;
}

function parseJson(text: string): unknown {
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreachable(url: string, error: unknown): CommandError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason = code === "ECONNREFUSED" ? "nothing listens there" : code || (cause as Error).message;
  return new CommandError(
    exitCodes.unreachable,
    `No Parley answers at ${url} (${reason}). Start one with "parley start", or name another with --url.`,
    { cause: error },
  );
}

async function refusal(response: Response, withoutToken: boolean): Promise<CommandError> {
  const problem = problemSchema.safeParse(parseJson(await response.text().catch(() => "")));
  const title = problem.success ? (problem.data.detail ?? problem.data.title) : `HTTP ${response.status}`;
  const details = problem.success
    ? (problem.data.errors ?? []).map((each) => `  ${each.path}: ${each.message}`)
    : [];
  const advice =
    response.status !== 401
      ? []
      : withoutToken
        ? [
            "No token was found: give --token, set PARLEY_ADMIN_TOKEN, or run this where Parley's data folder is.",
          ]
        : ["The token was not accepted: check --token or PARLEY_ADMIN_TOKEN."];
  const code = response.status >= 500 ? exitCodes.failed : exitCodes.refused;
  return new CommandError(code, [title, ...details, ...advice].join("\n"));
}
