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
import { outcomeQuestion } from "./decide.ts";
import { runTool, type ToolOutcome } from "./effects.ts";
import { ask, join, type Plan, plan, system } from "./plan.ts";

/** Attempts at one call whose worker died in the middle, before it counts as failed. */
const maxAttempts = 5;
/** A `keyed` call that ran out of time is tried once more under its key; then a person is asked. */
const maxTimedAttempts = 2;

export async function begin(activation: Activation, calls: readonly OpenCall[]): Promise<void> {
  if (agentOf(activation) === undefined)
    return fail(activation, calls, "The agent is not available here any more.");
  const approved = calls.find((call) => call.approvalId !== null && call.status === "approved");
  if (approved !== undefined && !(await isWhatWasApproved(activation, approved))) {
    return refuse(activation, approved);
  }
  const useApproval =
    approved?.approvalId && approved.digest
      ? { approvalId: approved.approvalId, digest: approved.digest }
      : undefined;
  const before = activation.state.seq;
  const began = await start(activation, calls, useApproval);
  // The log stands where it stood, so it is the approval that cannot be used: trying again would change nothing.
  if (began === "moved" && approved !== undefined && activation.state.seq === before) {
    await refuse(activation, approved);
  }
}

async function refuse(activation: Activation, call: OpenCall): Promise<void> {
  const { callId, approvalId } = call;
  const { threadId } = activation.lease;
  activation.parts.logger("error", "approval_mismatch", { threadId, callId, approvalId });
  await fail(activation, [call], "What was approved is not what would run. Nothing ran.");
}

async function fail(activation: Activation, calls: readonly OpenCall[], error: string): Promise<void> {
  await write(activation, calls.map((call) => failure(call, error, 0)).reduce(join, plan()));
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
  const available = agentOf(activation) !== undefined;
  const again = calls.filter((call) => available && call.effect !== "once" && call.attempt < maxAttempts);
  const events = calls.filter((call) => !again.includes(call)).map((call) => given(activation, call));
  if (events.length > 0) await write(activation, events.reduce(join, plan()));
  else await start(activation, again);
}

/** What becomes of a begun call that may not be tried again. */
const given = (activation: Activation, call: OpenCall): Plan =>
  call.effect === "once"
    ? outcomeUnknown(activation, call, "the server stopped while it ran")
    : failure(call, `was cut off (attempt ${call.attempt}) and is not tried again`, 0);

async function start(
  activation: Activation,
  calls: readonly OpenCall[],
  useApproval?: { approvalId: string; digest: string },
): Promise<"started" | "moved"> {
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
  if ((await write(activation, begun)) === "moved") return "moved";
  const ids = new Set(calls.map(({ callId }) => callId));
  await runAll(
    activation,
    activation.state.calls.filter((call) => ids.has(call.callId)),
  );
  return "started";
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
      return activation.cutOff() === "cancelled" ? cancelled(activation, call) : plan();
  }
}

function cancelled(activation: Activation, call: OpenCall): Plan {
  const error = "it was cut off by a cancellation";
  return call.effect === "once"
    ? outcomeUnknown(activation, call, error)
    : failure(call, `${error}; whether it happened is not known`, 0);
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
  const { callId } = call;
  const asked = outcomeQuestion(planner, call, error);
  const unknown = plan({ type: "tool_outcome_unknown", data: { callId, error }, actor: system });
  return join(unknown, ask(state, state.run ?? { runId: planner.ids.next() }, asked, planner));
}
