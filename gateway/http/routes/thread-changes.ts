/** What a person does to a thread other than writing: pause, resume, cancel, fork. */
import { forkThread } from "../../../store/fork.ts";
import type { ListedThread } from "../../../store/listing.ts";
import { type ThreadCommand, wake } from "../../ingest.ts";
import { senderOf } from "../caller.ts";
import type { HttpDeps } from "../deps.ts";
import { refuse } from "../problem.ts";
import { answer, defineRoute, type Route } from "../route.ts";
import { forkBody, reasonBody, threadParams, threadView } from "../schemas.ts";
import { dedupeOf, findThread } from "../thread-access.ts";
import { webBinding } from "../web-binding.ts";

type Change = "pause" | "resume" | "cancel";

const summaries: Record<Change, string> = {
  pause: "Pause: nothing new begins until it is resumed. Safe to repeat.",
  resume: "Resume a paused thread. Safe to repeat.",
  cancel: "Cancel: what is under way is closed. A new message wakes the thread again. Safe to repeat.",
};

export function threadChangeRoutes(deps: HttpDeps): Route[] {
  const changes = (Object.keys(summaries) as Change[]).map((change) =>
    defineRoute({
      method: "post",
      path: `/v1/threads/:threadId/${change}`,
      access: "threads:write",
      summary: summaries[change],
      params: threadParams,
      body: reasonBody,
      answers: { 200: { description: "The thread.", schema: threadView } },
      async handle({ params: { threadId }, body, caller }) {
        const thread = await findThread(deps, threadId);
        if (isDone(change, thread)) return answer(200, thread);
        const sender = senderOf(caller, deps);
        const event = eventOf(change, (body?.reason ?? "").replaceAll("\0", "").toWellFormed(), sender);
        await deps.ingest.command({ threadId, sender, binding: thread.home ?? webBinding(threadId), event });
        deps.logger("info", "thread_changed", { threadId, change, person: caller.person });
        return answer(200, await findThread(deps, threadId));
      },
    }),
  );
  return [...changes, forkRoute(deps)];
}

/** @throws {RefusedError} `conflict` where the change has no meaning. */
function isDone(change: Change, { status }: ListedThread): boolean {
  if (change === "cancel") return status === "cancelled";
  if (status === "cancelled") throw refuse("conflict", "The thread is cancelled. A new message wakes it.");
  return change === "pause" ? status === "paused" : status !== "paused";
}

function eventOf(change: Change, reason: string, sender: ThreadCommand["sender"]): ThreadCommand["event"] {
  const actor = { kind: "person", sender } as const;
  switch (change) {
    case "pause":
      return { type: "paused", data: { reason }, actor };
    case "resume":
      return { type: "resumed", data: {}, actor };
    case "cancel":
      return { type: "cancelled", data: { reason }, actor };
  }
}

const forkRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "post",
    path: "/v1/threads/:threadId/fork",
    access: "threads:write",
    summary:
      "Fork: a new thread that starts with the first `atSeq` events. Approvals and tool calls under way stay with the old one.",
    params: threadParams,
    body: forkBody,
    answers: {
      201: { description: "Forked.", schema: threadView },
      200: { description: "The thread that this idempotency key forked before.", schema: threadView },
    },
    async handle({ params: { threadId }, body: { atSeq, idempotencyKey }, caller, request }) {
      const home = webBinding(deps.ids.next());
      const sender = senderOf(caller, deps);
      const hearing = deps.gate("command", sender, home);
      if (!hearing.allowed) throw refuse("forbidden", hearing.reason);
      const dedupe = dedupeOf(deps, { kind: "fork", caller, request, key: idempotencyKey });
      const result = await forkThread(deps.database, deps.ids, {
        threadId,
        atSeq,
        newThreadId: deps.ids.next(),
        home,
        actor: { kind: "person", sender },
        dedupe,
      });
      if (result.outcome === "duplicate") await requireSameFork(deps, result.threadId, { threadId, atSeq });
      else deps.logger("info", "thread_changed", { threadId, change: "fork", person: caller.person });
      if (result.runnable) await wake(deps, result.threadId);
      const thread = await findThread(deps, result.threadId);
      const headers = { location: `/v1/threads/${thread.id}` };
      return answer(result.outcome === "forked" ? 201 : 200, thread, headers);
    },
  });

async function requireSameFork(
  deps: HttpDeps,
  forkId: string,
  wanted: { threadId: string; atSeq: number },
): Promise<void> {
  const first = (await deps.listing.events({ threadId: forkId, after: 0, limit: 1 }))?.events[0];
  const from = first?.type === "thread_started" ? first.data.forkedFrom : undefined;
  if (from?.threadId === wanted.threadId && from.seq === wanted.atSeq) return;
  throw refuse("conflict", "This idempotency key was used for another fork already.");
}
