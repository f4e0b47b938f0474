/**
 * From a decision to what is written: everything that follows from it (approval requests, replies, questions, timers) as
 * one commit. Pure: ids, time and random bytes are handed in.
 */
import {
  actionDigest,
  approvalCode,
  type Policy,
  policyVersion,
  type StoredAction,
} from "../../core/approval.ts";
import type { NewEvent } from "../../core/events.ts";
import type { JsonObject } from "../../core/json.ts";
import type {
  Clock,
  Commit,
  Ids,
  NewApproval,
  NewOutboxEntry,
  NewTimer,
  OutboxKind,
} from "../../core/ports.ts";
import type { Decision, Question } from "../../core/step.ts";
import type { OpenCall, Run, ThreadState } from "../../core/thread.ts";
import type { Actor, Binding } from "../../core/words.ts";
import type { Agent } from "../agent.ts";

export interface Planner {
  threadId: string;
  ids: Ids;
  clock: Clock;
  policies: ReadonlyMap<string, Policy>;
}

/** A commit in the making: parts of several plans are joined before they are written. */
export interface Plan extends Commit {
  events: NewEvent[];
  outbox: NewOutboxEntry[];
  approvals: NewApproval[];
  withdrawApprovals: string[];
  timers: NewTimer[];
}

export const plan = (...events: NewEvent[]): Plan => ({
  events,
  outbox: [],
  approvals: [],
  withdrawApprovals: [],
  timers: [],
});

export const system: Actor = { kind: "system", name: "runtime" };
export const agentActor = (name: string): Actor => ({ kind: "agent", name });

export function question(
  planner: Planner,
  facts: Pick<Question, "purpose" | "text" | "format" | "urgency">,
): Question {
  const { purpose, text, format, urgency } = facts;
  return { questionId: planner.ids.next(), purpose, text, format, urgency };
}

/** What follows from a decision beyond its own event. `state` already holds the step. */
export function consequences(state: ThreadState, decision: Decision, agent: Agent, planner: Planner): Plan {
  const run = state.run;
  if (run === null) return plan();
  switch (decision.type) {
    case "call": {
      const unasked = state.calls.filter((open) => open.status === "chosen" && open.approvalPolicy !== null);
      return unasked.reduce((all, open) => join(all, requestApproval(state, open, agent, planner)), plan());
    }
    case "reply":
      return ended(answer(state, run, decision.text, planner), run, "replied");
    case "ask":
      return ask(state, run, decision.question, planner);
    case "wait":
      return {
        ...plan(timerSet(decision.timerId, decision.dueAt, "wait")),
        timers: [{ timerId: decision.timerId, dueAt: decision.dueAt, kind: "wait" }],
      };
    case "handoff": {
      const toKind = decision.to === "person" ? "person" : "agent";
      const handed = plan({
        type: "handed_off",
        data: { runId: run.runId, to: decision.to, toKind, reason: decision.reason },
        actor: agentActor(agent.name),
      });
      const told =
        toKind === "agent"
          ? plan()
          : answer(state, run, decision.text || "I am handing this over to a person.", planner);
      return ended(join(told, handed), run, "handed_off");
    }
    case "finish": {
      // A message always gets a visible outcome: silence is only possible where nobody waits for an answer.
      const text = decision.text ?? (state.unanswered.length > 0 ? "Done." : null);
      return ended(text === null ? plan() : answer(state, run, text, planner), run, "finished");
    }
    case "invalid":
      return plan();
  }
}

export function requestApproval(state: ThreadState, open: OpenCall, agent: Agent, planner: Planner): Plan {
  const policy = planner.policies.get(open.approvalPolicy ?? "");
  if (policy === undefined) {
    // Removed since the step was decided: the call ends, for nobody could approve it.
    const error = `the policy "${open.approvalPolicy}" is not configured any more`;
    return plan({ type: "tool_failed", data: { callId: open.callId, error, durationMs: 0 }, actor: system });
  }
  const expiresAt =
    policy.expiresAfterMs === null
      ? null
      : new Date(planner.clock.now().getTime() + policy.expiresAfterMs).toISOString();
  const action: StoredAction = {
    tool: open.tool,
    args: open.args,
    agent: agent.name,
    threadId: planner.threadId,
    callId: open.callId,
    requesters: state.run?.requesters ?? [],
    policyVersion: policyVersion(policy),
    expiresAt,
  };
  const summary = summaryOf(agent, open);
  const approval: NewApproval = {
    ...action,
    approvalId: planner.ids.next(),
    digest: actionDigest(action),
    code: approvalCode(planner.ids.randomBytes(6)),
    summary,
    policy,
  };
  return join(withdrawSuperseded(state, open), askedPlan(state, approval, planner));
}

/** The card shows the exact arguments anyway: a summary that fails must not keep people from being asked. */
function summaryOf(agent: Agent, open: OpenCall): string | null {
  try {
    return agent.tools.find((tool) => tool.name === open.tool)?.summary?.(open.args) ?? null;
  } catch {
    return null;
  }
}

function askedPlan(state: ThreadState, approval: NewApproval, planner: Planner): Plan {
  const { approvalId, callId, digest, code, tool, args, policyVersion, expiresAt, summary, agent } = approval;
  const policy = approval.policy.name;
  const asked = plan({
    type: "approval_requested",
    data: { approvalId, callId, digest, code, tool, args, policy, policyVersion, expiresAt },
    actor: agentActor(agent),
  });
  const card = { approvalId, code, tool, args, summary, digest, policy, expiresAt };
  const expiry = { timerId: planner.ids.next(), kind: "approval_expiry" as const, subject: approvalId };
  return {
    ...asked,
    outbox: outboxEntry(state, "approval", card, planner),
    approvals: [approval],
    timers: expiresAt === null ? [] : [{ ...expiry, dueAt: expiresAt }],
  };
}

/** A newer proposal on the same subject replaces an undecided one: nobody can approve what is no longer wanted. */
function withdrawSuperseded(state: ThreadState, open: OpenCall): Plan {
  const older = state.calls.filter(
    (other) => other.status === "awaiting" && other.subject === open.subject && other.callId !== open.callId,
  );
  return withdraw(older, "replaced by a newer proposal");
}

export function withdraw(calls: readonly OpenCall[], reason: string): Plan {
  const approvalIds = calls.flatMap(({ approvalId }) => (approvalId === null ? [] : [approvalId]));
  const events = approvalIds.map(
    (approvalId): NewEvent => ({ type: "approval_withdrawn", data: { approvalId, reason }, actor: system }),
  );
  return { ...plan(...events), withdrawApprovals: approvalIds };
}

/** A reply to every message the run has seen. */
export function answer(state: ThreadState, run: Pick<Run, "runId">, text: string, planner: Planner): Plan {
  const answers = state.unanswered.map(({ seq }) => seq).filter((seq) => seq <= Math.max(state.seenSeq, 0));
  const outbox = outboxEntry(state, "reply", { text }, planner, answers);
  const outboxId = outbox[0]?.outboxId ?? planner.ids.next();
  const event: NewEvent = {
    type: "reply_committed",
    data: { runId: run.runId, outboxId, text, answers },
    actor: agentActor(state.agent),
  };
  return { ...plan(event), outbox };
}

export function ask(state: ThreadState, run: Pick<Run, "runId">, asked: Question, planner: Planner): Plan {
  const { text, format, urgency, questionId } = asked;
  return {
    ...plan({ type: "question_asked", data: { ...asked, runId: run.runId }, actor: agentActor(state.agent) }),
    outbox: outboxEntry(state, "question", { questionId, text, format, urgency }, planner),
  };
}

export function ended(
  before: Plan,
  run: Pick<Run, "runId">,
  outcome: "replied" | "finished" | "handed_off" | "step_limit" | "failed" | "cancelled",
): Plan {
  return join(before, plan({ type: "run_ended", data: { runId: run.runId, outcome }, actor: system }));
}

export const timerSet = (timerId: string, dueAt: string, purpose: "wait" | "model_retry"): NewEvent => ({
  type: "timer_set",
  data: { timerId, dueAt, purpose },
  actor: system,
});

/** The answer goes to where the newest message came from, or to the thread's home. */
function outboxEntry(
  state: ThreadState,
  kind: OutboxKind,
  content: JsonObject,
  planner: Planner,
  answers: number[] = [],
): NewOutboxEntry[] {
  const binding: Binding | null = state.latest?.via ?? state.home;
  return binding === null ? [] : [{ outboxId: planner.ids.next(), kind, binding, content, answers }];
}

export function join(first: Plan, second: Plan): Plan {
  return {
    events: [...first.events, ...second.events],
    outbox: [...first.outbox, ...second.outbox],
    approvals: [...first.approvals, ...second.approvals],
    withdrawApprovals: [...first.withdrawApprovals, ...second.withdrawApprovals],
    timers: [...first.timers, ...second.timers],
  };
}
