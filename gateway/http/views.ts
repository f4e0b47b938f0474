/** Stored rows as the API shows them. Threads, model calls and deliveries are listed in that shape already. */
import type { Approval } from "../../store/approvals.ts";
import type { StoredToken } from "../../store/tokens.ts";
import type { ApprovalView, SessionView, TokenView } from "../api.ts";
import type { Caller } from "./caller.ts";

export const approvalView = (approval: Approval): ApprovalView => ({
  id: approval.approvalId,
  threadId: approval.threadId,
  agent: approval.agent,
  tool: approval.tool,
  summary: approval.summary,
  args: approval.args,
  digest: approval.digest,
  shortDigest: approval.digest.slice(0, 12),
  code: approval.code,
  status: approval.status,
  policy: approval.policy.name,
  quorum: approval.policy.quorum,
  approvedBy: approval.approvers,
  requesters: approval.requesters,
  decidedBy: approval.decidedBy,
  decidedAt: approval.decidedAt,
  reason: approval.reason,
  expiresAt: approval.expiresAt,
  createdAt: approval.createdAt,
});

export const tokenView = ({
  tokenId,
  name,
  person,
  scopes,
  createdAt,
  expiresAt,
}: StoredToken): TokenView => ({
  id: tokenId,
  name,
  person,
  scopes,
  createdAt,
  expiresAt,
});

/** @param name the person's, as people are shown. */
export const sessionView = (caller: Caller, name: string): SessionView => ({
  name,
  person: caller.person,
  roles: caller.roles,
  scopes: caller.scopes,
  csrfToken: caller.session?.csrfToken ?? "",
});
