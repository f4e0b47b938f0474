/** Threads: start, read, write, pause, resume, cancel, fork. */
import { emptyThread } from "../../../core/thread.ts";
import { checkedText } from "../../ingest.ts";
import { senderOf } from "../caller.ts";
import { pageFrom, placeOf } from "../cursor.ts";
import type { HttpDeps } from "../deps.ts";
import { HttpRefusal, refuse } from "../problem.ts";
import { answer, defineRoute, type Route } from "../route.ts";
import {
  messageBody,
  modelCallView,
  newThreadBody,
  pageOf,
  pageQuery,
  promptView,
  stepParams,
  threadParams,
  threadState,
  threadsQuery,
  threadView,
} from "../schemas.ts";
import type { Streams } from "../stream.ts";
import { dedupeOf, findThread, requireFirstUse } from "../thread-access.ts";
import { webBinding } from "../web-binding.ts";
import { threadChangeRoutes } from "./thread-changes.ts";
import { threadEventRoutes } from "./thread-events.ts";

export function threadRoutes(deps: HttpDeps, streams: Streams): Route[] {
  return [
    startRoute(deps),
    listRoute(deps),
    oneRoute(deps),
    ...threadEventRoutes(deps, streams),
    stateRoute(deps),
    modelCallsRoute(deps),
    promptRoute(deps),
    messageRoute(deps),
    ...threadChangeRoutes(deps),
  ];
}

const startRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "post",
    path: "/v1/threads",
    access: "threads:write",
    summary: "Start a thread with a first message.",
    body: newThreadBody,
    answers: {
      201: { description: "Started.", schema: threadView },
      200: { description: "The thread that this idempotency key started before.", schema: threadView },
    },
    async handle({ body, caller, request }) {
      await checkTarget(deps, body);
      const text = checkedText(body.input, deps.limits.messageCharacters);
      const binding = webBinding(deps.ids.next());
      const result = await deps.ingest.message({
        target: { binding, agent: body.agent ?? null },
        sender: senderOf(caller, deps),
        text,
        via: body.replyTo ?? binding,
        dedupe: dedupeOf(deps, { kind: "thread", caller, request, key: body.idempotencyKey }),
      });
      if (result.outcome === "no_thread") throw refuse("not_found", "There is no such thread.");
      if (result.outcome === "duplicate")
        await requireFirstUse(deps, result, { threadId: result.threadId, text });
      const thread = await findThread(deps, result.threadId);
      const headers = { location: `/v1/threads/${thread.id}` };
      return answer(result.outcome === "accepted" ? 201 : 200, thread, headers);
    },
  });

async function checkTarget(
  deps: HttpDeps,
  body: { agent?: string | undefined; replyTo?: { channel: string } | undefined },
) {
  if (body.agent !== undefined && !deps.agents.names().some(({ name }) => name === body.agent)) {
    throw invalidMember("agent", "There is no agent of that name.");
  }
  const { replyTo } = body;
  if (replyTo === undefined) return;
  const { channels } = await deps.status();
  if (!channels.some(({ name, on }) => on && name === replyTo.channel)) {
    throw invalidMember("replyTo.channel", "There is no channel of that name, or it is off.");
  }
}

const invalidMember = (member: string, message: string): HttpRefusal =>
  new HttpRefusal(400, message, { errors: [{ path: `body.${member}`, message }] });

const listRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "get",
    path: "/v1/threads",
    access: "threads:read",
    summary: "Threads, the last changed first.",
    query: threadsQuery,
    answers: { 200: { description: "A page of threads.", schema: pageOf(threadView) } },
    async handle({ query: { cursor, limit, status, agent } }) {
      const filter = { status: status ?? null, agent: agent ?? null };
      const slice = await deps.listing.threads({ ...filter, after: placeOf(cursor), limit });
      return answer(
        200,
        pageFrom(slice, (thread) => thread),
      );
    },
  });

const oneRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "get",
    path: "/v1/threads/:threadId",
    access: "threads:read",
    summary: "One thread.",
    params: threadParams,
    answers: { 200: { description: "The thread.", schema: threadView } },
    handle: async ({ params }) => answer(200, await findThread(deps, params.threadId)),
  });

const stateRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "get",
    path: "/v1/threads/:threadId/state",
    access: "threads:read",
    summary: "The thread's state, folded from its whole log.",
    params: threadParams,
    answers: { 200: { description: "The state.", schema: threadState } },
    async handle({ params: { threadId } }) {
      const state = await deps.log.catchUp(threadId, emptyThread);
      if (state.seq === 0) throw refuse("not_found", "There is no such thread.");
      return answer(200, state);
    },
  });

const modelCallsRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "get",
    path: "/v1/threads/:threadId/model-calls",
    access: "threads:read",
    summary: "What the models were asked, with prompt version, tokens, cost and latency; oldest first.",
    params: threadParams,
    query: pageQuery,
    answers: { 200: { description: "A page of model calls.", schema: pageOf(modelCallView) } },
    async handle({ params: { threadId }, query: { cursor, limit } }) {
      const slice = await deps.listing.modelCalls({ threadId, after: placeOf(cursor), limit });
      if (slice.items.length === 0) await findThread(deps, threadId);
      return answer(
        200,
        pageFrom(slice, (call) => call),
      );
    },
  });

const promptRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "get",
    path: "/v1/threads/:threadId/steps/:stepId/prompt",
    access: "threads:read",
    summary: "The exact messages that a step was decided by.",
    params: stepParams,
    answers: { 200: { description: "The messages.", schema: promptView } },
    async handle({ params: { threadId, stepId } }) {
      const prompt = await deps.promptFor(threadId, stepId);
      if (prompt === null) {
        throw refuse("not_found", "There is no such step, or the prompt it was decided by is gone.");
      }
      return answer(200, prompt);
    },
  });

const messageRoute = (deps: HttpDeps): Route =>
  defineRoute({
    method: "post",
    path: "/v1/threads/:threadId/messages",
    access: "threads:write",
    summary: "Write into a thread.",
    params: threadParams,
    body: messageBody,
    answers: {
      201: { description: "Stored.", schema: threadView },
      200: { description: "This idempotency key was stored before.", schema: threadView },
    },
    async handle({ params: { threadId }, body, caller, request }) {
      const text = checkedText(body.text, deps.limits.messageCharacters);
      const thread = await findThread(deps, threadId);
      const result = await deps.ingest.message({
        target: { threadId },
        sender: senderOf(caller, deps),
        text,
        via: thread.home ?? webBinding(threadId),
        dedupe: dedupeOf(deps, { kind: "message", caller, request, key: body.idempotencyKey }),
      });
      if (result.outcome === "no_thread") throw refuse("not_found", "There is no such thread.");
      if (result.outcome === "duplicate") await requireFirstUse(deps, result, { threadId, text });
      return answer(result.outcome === "accepted" ? 201 : 200, await findThread(deps, threadId));
    },
  });
