/** What becomes of approvals: requested, decided, expired, withdrawn. */
import type { JsonObject } from "../json.ts";
import { awaiting, type Rules, senderKey, withApprovalItem, withCall, withoutCall } from "./state.ts";

export const approvalRules: Rules<
  "approval_requested" | "approval_decided" | "approval_expired" | "approval_withdrawn"
> = {
  approval_requested(state, request, event) {
    if (!state.calls.some((call) => call.callId === request.callId && call.status === "chosen")) return state;
    const asked = withCall(state, request.callId, (call) => ({
      ...call,
      status: "awaiting",
      approvalId: request.approvalId,
      digest: request.digest,
    }));
    return withApprovalItem(asked, "requested", request.callId, { seq: event.seq, by: "", reason: "" });
  },

  approval_decided(state, decision, event) {
    const call = awaiting(state, decision.approvalId);
    if (call === undefined) return state;
    const by = decision.sender.name || senderKey(decision.sender);
    const facts = { seq: event.seq, by, reason: decision.reason ?? "" };
    if (decision.verdict === "ask_back") {
      return { ...withApprovalItem(state, "asked_back", call.callId, facts), inputSeq: event.seq };
    }
    if (decision.verdict === "reject") {
      const told = withApprovalItem(state, "rejected", call.callId, facts);
      return { ...withoutCall(told, call.callId), inputSeq: event.seq };
    }
    const edited = decision.verdict === "edit";
    if (!edited && decision.digest !== call.digest) return state;
    const args: JsonObject = edited && decision.args !== null ? decision.args : call.args;
    // An edit that still waits for a quorum is what the others now decide about.
    const status = decision.final ? "approved" : "awaiting";
    const counted = withCall(state, call.callId, (open) => ({
      ...open,
      status,
      args,
      digest: decision.digest,
    }));
    if (!decision.final) return counted;
    return withApprovalItem(counted, edited ? "edited" : "approved", call.callId, facts);
  },

  approval_expired(state, { approvalId, consequence }, event) {
    const call = awaiting(state, approvalId);
    if (call === undefined) return state;
    const told = withApprovalItem(state, "expired", call.callId, {
      seq: event.seq,
      by: "",
      reason: consequence,
    });
    return consequence === "deny" ? { ...withoutCall(told, call.callId), inputSeq: event.seq } : told;
  },

  approval_withdrawn(state, { approvalId, reason }, event) {
    // Until it has begun: an approval that was given can be withdrawn as well.
    const call =
      awaiting(state, approvalId) ??
      state.calls.find((open) => open.approvalId === approvalId && open.status === "approved");
    if (call === undefined) return state;
    const told = withApprovalItem(state, "withdrawn", call.callId, { seq: event.seq, by: "", reason });
    return withoutCall(told, call.callId);
  },
};
