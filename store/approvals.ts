/**
 * Approvals as rows, and the one place where a verdict is recorded. Whoever takes the thread's row lock first
 * decides; a decision, its event and its audit entry are one statement.
 */
import { z } from "zod";
import {
  type ApprovalStatus,
  actionDigest,
  approvalStatuses,
  mayDecide,
  type Policy,
  policySchema,
} from "../core/approval.ts";
import { RefusedError } from "../core/errors.ts";
import { eventVersion } from "../core/events.ts";
import { type JsonObject, jsonObjectSchema } from "../core/json.ts";
import type { DecisionRequest, DecisionResult } from "../core/ports.ts";
import { json } from "./log.ts";
import type { Database } from "./postgres.ts";

const approvalRow = z.object({
  id: z.string(),
  thread_id: z.string(),
  call_id: z.string(),
  agent: z.string(),
  tool: z.string(),
  summary: z.string().nullable(),
  args: jsonObjectSchema,
  digest: z.string(),
  code: z.string(),
  requesters: z.array(z.string()),
  policy: policySchema,
  policy_version: z.string(),
  status: z.enum(approvalStatuses),
  escalated: z.boolean(),
  approvers: z.array(z.string()),
  decided_by: z.string().nullable(),
  decided_at: z.string().nullable(),
  reason: z.string().nullable(),
  expires_at: z.string().nullable(),
  created_at: z.string(),
});

export interface Approval {
  approvalId: string;
  threadId: string;
  callId: string;
  agent: string;
  tool: string;
  summary: string | null;
  args: JsonObject;
  digest: string;
  code: string;
  requesters: string[];
  policy: Policy;
  policyVersion: string;
  status: ApprovalStatus;
  escalated: boolean;
  approvers: string[];
  decidedBy: string | null;
  decidedAt: string | null;
  reason: string | null;
  expiresAt: string | null;
  createdAt: string;
}

const iso = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;

const columns = `id, thread_id, call_id, agent, tool, summary, args, digest, code, requesters, policy, policy_version,
  status, escalated, approvers, decided_by, ${iso("decided_at")}, reason, ${iso("expires_at")}, ${iso("created_at")}`;

const decidedRow = z.object({
  outcome: z.enum(["decided", "counted", "already", "not_found"]),
  new_status: z.string().nullable(),
  missing: z.number().nullable(),
  thread: z.string().nullable(),
  at_seq: z.number().nullable(),
  by_whom: z.string().nullable(),
});

/** Checks edited arguments against the tool's schema; gives them parsed. @throws {RefusedError} when they do not fit. */
export type CheckEdit = (approval: Approval, args: JsonObject) => JsonObject;

export interface Approvals {
  get(approvalId: string): Promise<Approval | null>;
  /** Newest first; `before` is the creation time and id of the last one seen. */
  list(filter: {
    status: ApprovalStatus | null;
    threadId: string | null;
    before: { at: string; id: string } | null;
    limit: number;
  }): Promise<Approval[]>;
  /** Safe to repeat: only the first valid verdict counts. */
  decide(request: DecisionRequest, checkEdit: CheckEdit): Promise<DecisionResult>;
}

export function approvals(database: Database): Approvals {
  const get = async (approvalId: string): Promise<Approval | null> => {
    const rows = await database.run({
      name: "approval_get",
      text: `select ${columns} from approvals where id = $1`,
      values: [approvalId],
    });
    return rows[0] === undefined ? null : fromRow(rows[0]);
  };
  return {
    get,
    async list({ status, threadId, before, limit }) {
      const rows = await database.run({
        name: "approval_list",
        text: `select ${columns} from approvals
                where ($1::text is null or status = $1) and ($2::uuid is null or thread_id = $2)
                  and ($3::timestamptz is null or (date_trunc('milliseconds', approvals.created_at), approvals.id) < ($3, $4::uuid))
                order by date_trunc('milliseconds', approvals.created_at) desc, approvals.id desc limit $5`,
        values: [status, threadId, before?.at ?? null, before?.id ?? null, limit],
      });
      return rows.map(fromRow);
    },
    async decide(request, checkEdit) {
      const approval = await get(request.approvalId);
      if (approval === null) return { outcome: "not_found" };
      const permission = mayDecide(approval.policy, request, approval.requesters, approval.escalated);
      if (!permission.allowed) return { outcome: "forbidden", reason: permission.reason };
      const edited = request.verdict === "edit" ? checkEdit(approval, requireArgs(request)) : null;
      const digest = edited === null ? approval.digest : editedDigest(approval, edited);
      return decideOnce(database, request, edited, digest);
    },
  };
}

/** The digest of an approval's action with other arguments. */
export function editedDigest(approval: Approval, args: JsonObject): string {
  return actionDigest({
    tool: approval.tool,
    args,
    agent: approval.agent,
    threadId: approval.threadId,
    callId: approval.callId,
    requesters: approval.requesters,
    policyVersion: approval.policyVersion,
    expiresAt: approval.expiresAt,
  });
}

async function decideOnce(
  database: Database,
  request: DecisionRequest,
  edited: JsonObject | null,
  digest: string,
): Promise<DecisionResult> {
  const person = request.sender.person ?? request.sender.identity;
  const rows = await database.run({
    name: "approval_decide",
    text: "select * from decide_approval($1, $2, $3, $4, $5, $6, $7, $8)",
    values: [
      request.approvalId,
      request.verdict,
      person,
      json(request.sender),
      request.reason,
      edited === null ? null : json(edited),
      digest,
      eventVersion("approval_decided"),
    ],
  });
  const row = decidedRow.parse(rows[0]);
  const place = { threadId: row.thread ?? "", seq: row.at_seq ?? 0 };
  switch (row.outcome) {
    case "not_found":
      return { outcome: "not_found" };
    case "counted":
      return { outcome: "counted", missing: row.missing ?? 0, ...place };
    case "decided":
      return { outcome: "decided", status: statusOf(row.new_status), ...place };
    case "already":
      return { outcome: "already", status: statusOf(row.new_status), decidedBy: row.by_whom };
  }
}

/** "changed": edited by somebody while this verdict was on its way; it is pending still, under another digest. */
const statusOf = (status: string | null): ApprovalStatus =>
  approvalStatuses.find((known) => known === status) ?? "pending";

function requireArgs(request: DecisionRequest): JsonObject {
  if (request.args !== null) return request.args;
  throw new RefusedError("invalid", "An edit needs the new arguments in `args`.", {
    operation: "decide approval",
  });
}

function fromRow(row: Record<string, unknown>): Approval {
  const a = approvalRow.parse(row);
  return {
    approvalId: a.id,
    threadId: a.thread_id,
    callId: a.call_id,
    agent: a.agent,
    tool: a.tool,
    summary: a.summary,
    args: a.args,
    digest: a.digest,
    code: a.code,
    requesters: a.requesters,
    policy: a.policy,
    policyVersion: a.policy_version,
    status: a.status,
    escalated: a.escalated,
    approvers: a.approvers,
    decidedBy: a.decided_by,
    decidedAt: a.decided_at,
    reason: a.reason,
    expiresAt: a.expires_at,
    createdAt: a.created_at,
  };
}
