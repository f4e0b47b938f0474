/** A thread's log: a page of it as JSON, or all of it from a position on as a stream. */
import type { ThreadEvent } from "../../../core/events.ts";
import type { Page } from "../../api.ts";
import { checkAccess, findCaller } from "../caller.ts";
import { cursorOf, seqOf } from "../cursor.ts";
import type { HttpDeps } from "../deps.ts";
import { refuse } from "../problem.ts";
import { answer, defineRoute, type Route } from "../route.ts";
import { eventsQuery, eventView, pageOf, threadParams } from "../schemas.ts";
import type { Streams } from "../stream.ts";
import { findThread } from "../thread-access.ts";

export function threadEventRoutes(deps: HttpDeps, streams: Streams): Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/threads/:threadId/events",
      access: "threads:read",
      summary:
        "Its log, oldest first. With `Accept: text/event-stream` a live stream of `event`, `partial` and `ping`, which goes on behind `after` or the header Last-Event-ID.",
      params: threadParams,
      query: eventsQuery,
      answers: { 200: { description: "A page of events, or the stream.", schema: pageOf(eventView) } },
      async handle({ params: { threadId }, query, request }) {
        const after = query.cursor === undefined ? (query.after ?? 0) : seqOf(query.cursor);
        if (!wantsStream(request)) return answer(200, await page(deps, threadId, after, query.limit));
        await findThread(deps, threadId);
        return streams.open({
          threadId,
          // A browser that reconnects repeats the address it was given, with the newest id beside it.
          after: Math.max(after, lastEventId(request)),
          signal: request.signal,
          stillAllowed: () => mayRead(request, deps),
        });
      },
    }),
  ];
}

const wantsStream = (request: Request): boolean =>
  (request.headers.get("accept") ?? "").toLowerCase().includes("text/event-stream");

function lastEventId(request: Request): number {
  const text = request.headers.get("last-event-id") ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

async function mayRead(request: Request, deps: HttpDeps): Promise<boolean> {
  try {
    checkAccess("threads:read", await findCaller(request, deps));
    return true;
  } catch {
    return false;
  }
}

async function page(
  deps: HttpDeps,
  threadId: string,
  after: number,
  limit: number,
): Promise<Page<ThreadEvent>> {
  const found = await deps.listing.events({ threadId, after, limit });
  if (found === null) throw refuse("not_found", "There is no such thread.");
  const last = found.events.at(-1)?.seq ?? found.end;
  return { items: found.events, next: last < found.end ? cursorOf([last]) : null };
}
