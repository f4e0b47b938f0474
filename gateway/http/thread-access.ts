/** What the routes of threads have in common: finding one, and idempotency keys. */
import type { AcceptRequest } from "../../core/ports.ts";
import type { ListedThread } from "../../store/listing.ts";
import type { Caller } from "./caller.ts";
import type { HttpDeps } from "./deps.ts";
import { refuse } from "./problem.ts";

/** @throws {RefusedError} `not_found` */
export async function findThread(deps: Pick<HttpDeps, "listing">, threadId: string): Promise<ListedThread> {
  const thread = await deps.listing.thread(threadId);
  if (thread === null) throw refuse("not_found", "There is no such thread.");
  return thread;
}

interface KeyedRequest {
  kind: "thread" | "message" | "fork";
  caller: Caller;
  request: Request;
  /** From the body. */
  key: string | undefined;
}

/** Keys are a person's own: two people's never meet. Without a key each request is a new one. */
export function dedupeOf(
  deps: Pick<HttpDeps, "ids">,
  { kind, caller, request, key }: KeyedRequest,
): AcceptRequest["dedupe"] {
  const header = request.headers.get("idempotency-key") ?? undefined;
  if (key !== undefined && header !== undefined && key !== header) {
    throw refuse("invalid", "The idempotency keys of body and header differ.");
  }
  const given = key ?? header;
  if (given !== undefined && !/^[\x20-\x7e]{1,200}$/.test(given)) {
    throw refuse("invalid", "An idempotency key has 1 to 200 printable ASCII characters.");
  }
  return {
    channel: "web",
    account: caller.person,
    key: given === undefined ? `request:${deps.ids.next()}` : `${kind}:${given}`,
  };
}

/**
 * A key that was used for something else must not swallow this message.
 * @throws {RefusedError} `conflict`
 */
export async function requireFirstUse(
  deps: Pick<HttpDeps, "listing">,
  first: { threadId: string; seq: number },
  wanted: { threadId: string; text: string },
): Promise<void> {
  const { threadId, seq } = first;
  const page = await deps.listing.events({ threadId, after: seq - 1, limit: 1 });
  const event = page?.events[0];
  const same = event?.type === "message_received" && event.data.text === wanted.text;
  if (same && threadId === wanted.threadId) return;
  throw refuse("conflict", "This idempotency key was used for another message already.");
}
