/** Bugs of approvals. */
import { actionDigest } from "../../../core/approval.ts";
import type { ThreadState } from "../../../core/thread.ts";
import type { Ports } from "../ports.ts";
import { type Bug, noFaults } from "./bug.ts";

const decideAs = (
  change: (
    request: Parameters<Ports["approvals"]["decide"]>[0],
  ) => Parameters<Ports["approvals"]["decide"]>[0],
): NonNullable<Bug["change"]> =>
  function changed({ approvals }) {
    return {
      approvals: {
        ...approvals,
        decide: (request, checkEdit) => approvals.decide(change(request), checkEdit),
      },
    };
  };

export const approvalBugs: readonly Bug[] = [
  {
    name: "nobody_is_asked",
    what: "a tool that needs an approval runs without one",
    caughtBy: ["effects_are_approved"],
    faults: noFaults,
    answers: ["approve", "reject"],
    change: ({ tools }) => ({ tools: tools.map((tool) => ({ ...tool, approval: null })) }),
  },
  {
    name: "every_decision_wins",
    what: "a decision does not look whether another one was faster",
    caughtBy: ["one_decision_wins"],
    faults: noFaults,
    answers: ["raced", "contested", "again_later"],
    functions: [{ name: "decide_approval", from: "a.status <> 'pending'", to: "false" }],
  },
  {
    name: "approve_after_reject",
    what: "what was rejected can still be approved",
    caughtBy: ["one_decision_wins", "effects_are_approved"],
    faults: noFaults,
    answers: ["contested"],
    functions: [
      {
        name: "decide_approval",
        from: "a.status <> 'pending'",
        to: "a.status <> 'pending' and not (a.status = 'rejected' and p_verdict = 'approve')",
      },
    ],
  },
  {
    name: "reject_approves",
    what: "a rejection counts as an approval",
    caughtBy: ["effects_are_approved"],
    faults: noFaults,
    answers: ["reject"],
    change: decideAs((request) =>
      request.verdict === "reject" ? { ...request, verdict: "approve" } : request,
    ),
  },
  {
    name: "edit_is_ignored",
    what: "edited arguments are dropped and the old ones run",
    caughtBy: ["effects_are_approved"],
    faults: noFaults,
    answers: ["edit"],
    change: decideAs((request) =>
      request.verdict === "edit" ? { ...request, verdict: "approve" } : request,
    ),
  },
  {
    name: "quorum_of_one",
    what: "one approval is enough where two are asked for",
    caughtBy: ["effects_are_approved"],
    faults: noFaults,
    answers: ["quorum"],
    functions: [{ name: "decide_approval", from: "cardinality(agreed) >= a.quorum", to: "true" }],
  },
  {
    name: "requester_approves",
    what: "who asked may approve, against the policy",
    caughtBy: ["effects_are_approved"],
    faults: noFaults,
    answers: ["not_requester"],
    change: decideAs((request) => ({
      ...request,
      sender: { ...request.sender, person: `${request.sender.person} again`, identity: "someone" },
    })),
  },
  {
    name: "expired_is_taken",
    what: "an approval that has expired is still taken",
    caughtBy: ["expired_is_expired"],
    faults: noFaults,
    answers: ["expire"],
    functions: [
      { name: "decide_approval", from: "a.expires_at <= now()", to: "false" },
      { name: "fire_timer", from: "then 'expired' else status end", to: "then status else status end" },
    ],
  },
  {
    name: "timers_never_fire",
    what: "nothing ever expires, so whoever waits for it waits for ever",
    caughtBy: ["comes_to_rest", "acknowledged_is_answered"],
    faults: noFaults,
    answers: ["expire"],
    change: ({ sweep }) => ({ sweep: { ...sweep, fireTimer: async () => null } }),
  },
  {
    name: "digest_unchecked",
    what: "what runs is not compared with what was approved, and it was changed in between",
    caughtBy: ["effects_are_approved"],
    faults: noFaults,
    answers: ["approve"],
    statements: [{ name: "commit_with", from: /and digest = (\$\d+)/g, to: "and $1::text is not null" }],
    change: ({ log }) => ({ log: tampered(log) }),
  },
];

/** The state that the loop works by says something else than what people saw, and every digest agrees with it. */
function tampered(log: Ports["log"]): Ports["log"] {
  const states = new Map<string, ThreadState>();
  const kept = (threadId: string, state: ThreadState): ThreadState => {
    states.set(threadId, state);
    return state;
  };
  return {
    ...log,
    async lease(threadId, owner, ttlMs) {
      const leased = await log.lease(threadId, owner, ttlMs);
      return leased && { ...leased, state: kept(threadId, leased.state) };
    },
    async catchUp(threadId, state) {
      return kept(threadId, await log.catchUp(threadId, state));
    },
    async commit(lease, state, commit) {
      const result = await log.commit(lease, state, commit);
      kept(lease.threadId, result.state);
      return result;
    },
    async storedAction(approvalId) {
      const stored = await log.storedAction(approvalId);
      if (stored === null) return null;
      const action = { ...stored.action, args: { ...stored.action.args, amount: 99 } };
      const digest = actionDigest(action);
      const call = states.get(action.threadId)?.calls.find((open) => open.approvalId === approvalId);
      if (call !== undefined) Object.assign(call, { args: action.args, digest });
      return { action, digest };
    },
  };
}
