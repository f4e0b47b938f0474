/** The approvals inbox, and the console's and the API's way to decide. */
import type { z } from "zod";
import type { DecisionResult } from "../../../core/ports.ts";
import { wake } from "../../ingest.ts";
import { type Caller, senderOf } from "../caller.ts";
import { cursorOf, placeOf } from "../cursor.ts";
import type { HttpDeps } from "../deps.ts";
import { HttpRefusal, refuse } from "../problem.ts";
import { answer, defineRoute, type Route } from "../route.ts";
import {
  approvalParams,
  approvalView as approvalSchema,
  approvalsQuery,
  decisionBody,
  pageOf,
} from "../schemas.ts";
import { approvalView } from "../views.ts";
import { webBinding } from "../web-binding.ts";

export function approvalRoutes(deps: HttpDeps): Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/approvals",
      access: "approvals:read",
      summary: "Approvals, newest first.",
      query: approvalsQuery,
      answers: { 200: { description: "A page of approvals.", schema: pageOf(approvalSchema) } },
      async handle({ query: { cursor, limit, status, threadId } }) {
        const filter = { status: status ?? null, threadId: threadId ?? null };
        const found = await deps.approvals.list({ ...filter, before: placeOf(cursor), limit: limit + 1 });
        const items = found.slice(0, limit).map(approvalView);
        const last = found.length > limit ? items.at(-1) : undefined;
        return answer(200, { items, next: last === undefined ? null : cursorOf([last.createdAt, last.id]) });
      },
    }),
    defineRoute({
      method: "get",
      path: "/v1/approvals/:approvalId",
      access: "approvals:read",
      summary: "One approval, with exactly what will run.",
      params: approvalParams,
      answers: { 200: { description: "The approval.", schema: approvalSchema } },
      handle: async ({ params }) => answer(200, await viewOf(deps, params.approvalId)),
    }),
    defineRoute({
      method: "post",
      path: "/v1/approvals/:approvalId/decision",
      access: "approvals:decide",
      summary: "Decide. The first valid verdict counts; a later one is told who was first (409).",
      params: approvalParams,
      body: decisionBody,
      answers: { 200: { description: "Decided, or counted towards the quorum.", schema: approvalSchema } },
      async handle({ params: { approvalId }, body, caller }) {
        const result = await decide(deps, caller, approvalId, body);
        deps.metrics.hooks.decision(body.verdict, result.outcome);
        return answer(200, await settledView(deps, approvalId, result));
      },
    }),
  ];
}

async function viewOf(deps: HttpDeps, approvalId: string) {
  const approval = await deps.approvals.get(approvalId);
  if (approval === null) throw refuse("not_found", "There is no such approval.");
  return approvalView(approval);
}

type Decision = z.output<typeof decisionBody>;

async function decide(
  deps: HttpDeps,
  caller: Caller,
  approvalId: string,
  body: Decision,
): Promise<DecisionResult> {
  const reason = body.reason?.replaceAll("\0", "").toWellFormed().trim() || null;
  checkDecision(body, reason);
  const { threadId } = await viewOf(deps, approvalId);
  const sender = senderOf(caller, deps);
  const hearing = deps.gate("decision", sender, webBinding(threadId));
  if (!hearing.allowed) throw refuse("forbidden", hearing.reason);
  const { verdict, args = null } = body;
  return deps.approvals.decide(
    { approvalId, verdict, sender, roles: caller.roles, reason, args },
    (approval, edited) => deps.agents.checkEdit(approval, edited),
  );
}

function checkDecision({ verdict, args }: Decision, reason: string | null): void {
  if ((verdict === "reject" || verdict === "ask_back") && reason === null) {
    const what =
      verdict === "reject" ? "A rejection needs a reason" : "To ask back, put the question in `reason`";
    throw new HttpRefusal(400, `${what}: the agent and the requester see it.`, {
      errors: [{ path: "body.reason", message: "is required for this verdict" }],
    });
  }
  if ((verdict === "edit") === (args !== undefined)) return;
  const message = verdict === "edit" ? "is required for this verdict" : "belongs to the verdict `edit` only";
  throw new HttpRefusal(400, `\`args\` ${message}.`, { errors: [{ path: "body.args", message }] });
}

async function settledView(deps: HttpDeps, approvalId: string, result: DecisionResult) {
  switch (result.outcome) {
    case "not_found":
      throw refuse("not_found", "There is no such approval.");
    case "forbidden":
      throw refuse("forbidden", result.reason);
    case "already":
      throw refuse("conflict", alreadyText(result));
    case "decided":
    case "counted":
      deps.logger("info", "approval_decided", {
        approvalId,
        threadId: result.threadId,
        outcome: result.outcome,
      });
      await wake(deps, result.threadId);
      return viewOf(deps, approvalId);
  }
}

function alreadyText({ status, decidedBy }: Extract<DecisionResult, { outcome: "already" }>): string {
  if (status === "pending") return "It was changed while you decided. Look at it again.";
  if (decidedBy === null) return `It is ${status} already.`;
  return `Already decided by ${decidedBy}: ${status}.`;
}
