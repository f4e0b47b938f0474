import type { ApprovalStatus } from "../../../core/approval.ts";
import type { Tone } from "../app/states.tsx";

/** `past` goes before a person's name: "Approved by Ada". */
export const statusWords: Record<ApprovalStatus, { name: string; tone: Tone; past: string }> = {
  pending: { name: "waiting", tone: "warn", past: "" },
  approved: { name: "approved", tone: "good", past: "Approved" },
  used: { name: "approved and run", tone: "good", past: "Approved" },
  rejected: { name: "rejected", tone: "bad", past: "Rejected" },
  expired: { name: "expired", tone: "neutral", past: "" },
  withdrawn: { name: "withdrawn", tone: "neutral", past: "Withdrawn" },
};
