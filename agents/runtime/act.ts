/**
 * Beginning, recovering and ending tool calls. That a call begins is committed before the tool runs, together with the
 * use of its approval; a begun call without an outcome is what a crash leaves, and the tool's effect says what then.
 */
import { actionDigest } from "../../core/approval.ts";
import type { NewEvent } from "../../core/events.ts";
import { senderKey } from "../../core/fold.ts";
import { canonicalJson } from "../../core/json.ts";
import type { OpenCall } from "../../core/thread.ts";
import { type Activation, agentOf, write } from "./activation.ts";
import { runTool, type ToolOutcome } from "./effects.ts";
import { ask, join, type Plan, plan, question, system } from "./plan.ts";

/** Attempts at one call whose worker died in the middle, before it counts as failed. */
const maxAttempts = 5;
/** A `keyed` call that ran out of time is tried once more under its key; then a person is asked. */
const maxTimedAttempts = 2;

export async function begin(activation: Activation, calls: readonly OpenCall[]): Promise<void> {
  const approved = calls.find((call) => call.approvalId !== null && call.status === "approved");
  if (approved !== undefined && !(await isWhatWasApproved(activation, approved))) {
    const { callId, approvalId } = approved;
    activation.parts.logger("error", "approval_mismatch", {
      threadId: activation.lease.threadId,
      callId,
      approvalId,
    });
    const error = "What was approved is not what would run. Nothing ran.";
    await write(
      activation,
      plan({ type: "tool_failed", data: { callId, error, durationMs: 0 }, actor: system }),
    );
    return;
  }
  const useApproval =
    approved?.approvalId && approved.digest
      ? { approvalId: approved.approvalId, digest: approved.digest }
      : undefined;
  await start(activation, calls, useApproval);
}

/** The stored row, its digest and the call in the log have to agree: a digest alone could belong to other arguments. */
async function isWhatWasApproved({ parts, planner }: Activation, call: OpenCall): Promise<boolean> {
  const stored = call.approvalId === null ? null : await parts.log.storedAction(call.approvalId);
  if (stored === null) return false;
  const { action, digest } = stored;
  return (
    digest === call.digest &&
    actionDigest(action) === digest &&
    action.threadId === planner.threadId &&
    action.callId === call.callId &&
    action.tool === call.tool &&
    canonicalJson(action.args) === canonicalJson(call.args)
  );
}

export async function recover(activation: Activation, calls: readonly OpenCall[]): Promise<void> {
  const again = calls.filter((call) => call.effect !== "once" && call.attempt < maxAttempts);
  const events = calls.filter((call) => !again.includes(call)).map((call) => given(activation, call));
  if (events.length > 0) await write(activation, events.reduce(join, plan()));
  else await start(activation, again);
}

const given = (activation: Activation, call: OpenCall): Plan =>
  call.effect === "once"
    ? outcomeUnknown(activation, call, "the server stopped while it ran")
    : failure(call, `was cut off ${call.attempt} times`, 0);

async function start(
  activation: Activation,
  calls: readonly OpenCall[],
  useApproval?: { approvalId: string; digest: string },
): Promise<void> {
  const events = calls.map((call): NewEvent => {
    const { callId, approvalId } = call;
    const idempotencyKey = call.idempotencyKey ?? callId;
    return {
      type: "tool_started",
      data: { callId, attempt: call.attempt + 1, idempotencyKey, approvalId },
      actor: system,
    };
  });
  const begun = { events, onlyIfUnmoved: true, ...(useApproval === undefined ? {} : { useApproval }) };
  if ((await write(activation, begun)) === "moved") return;
  const ids = new Set(calls.map(({ callId }) => callId));
  await runAll(
    activation,
    activation.state.calls.filter((call) => ids.has(call.callId)),
  );
}

async function runAll(activation: Activation, calls: readonly OpenCall[]): Promise<void> {
  const { parts, planner, signal, state } = activation;
  const agent = agentOf(activation);
  if (agent === undefined) return;
  const requester = state.latest === null ? "" : senderKey(state.latest.sender);
  const outcomes = await Promise.all(
    calls.map((call) => runTool({ agent, call, threadId: planner.threadId, requester, signal })),
  );
  calls.forEach((call, index) => {
    const outcome = outcomes[index];
    if (outcome !== undefined)
      parts.observe({ kind: "tool", agent: agent.name, tool: call.tool, outcome: outcome.kind });
  });
  const plans = calls.flatMap((call, index) => {
    const outcome = outcomes[index];
    return outcome === undefined ? [] : [outcomePlan(activation, call, outcome)];
  });
  const all = plans.reduce(join, plan());
  if (all.events.length > 0) await write(activation, all);
  // Nothing is known of a call that the worker's own stop cut off: it stays begun, for the next worker.
  if (outcomes.some((outcome) => outcome.kind === "cut_off")) signal.throwIfAborted();
}

function outcomePlan(activation: Activation, call: OpenCall, outcome: ToolOutcome): Plan {
  switch (outcome.kind) {
    case "finished": {
      const { result, durationMs } = outcome;
      return plan({
        type: "tool_finished",
        data: { callId: call.callId, result, durationMs },
        actor: system,
      });
    }
    case "failed":
      return failure(call, outcome.error, outcome.durationMs);
    case "timed_out":
      return timedOut(activation, call, outcome);
    case "cut_off":
      return activation.cutOff() === "cancelled"
        ? failure(call, "was cut off by a cancellation; whether it happened is not known", 0)
        : plan();
  }
}

function timedOut(
  activation: Activation,
  call: OpenCall,
  { error, durationMs }: { error: string; durationMs: number },
): Plan {
  if (call.effect === "read" || call.effect === "idempotent") return failure(call, error, durationMs);
  // Staying begun makes the loop recover it: the same key, the next attempt.
  if (call.effect === "keyed" && call.attempt < maxTimedAttempts) return plan();
  return outcomeUnknown(activation, call, error);
}

const failure = ({ callId }: OpenCall, error: string, durationMs: number): Plan =>
  plan({ type: "tool_failed", data: { callId, error, durationMs }, actor: system });

function outcomeUnknown({ state, planner }: Activation, call: OpenCall, error: string): Plan {
  const { callId, tool, args } = call;
  const text = `I started ${tool} with ${canonicalJson(args)}, but I do not know whether it happened (${error}). I will not do it again on my own. Please look: did it happen?`;
  const asked = {
    ...question(planner, { purpose: "tool_outcome", text, format: { kind: "yes_no" }, urgency: "high" }),
    callId,
  };
  const unknown = plan({ type: "tool_outcome_unknown", data: { callId, error }, actor: system });
  return join(unknown, ask(state, state.run ?? { runId: planner.ids.next() }, asked, planner));
}
