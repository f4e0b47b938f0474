/**
 * Reads the decision out of a model's choice: code, not the model, says what an intent means. What may not be done becomes
 * `invalid`, what was done before and may have happened becomes a question. Pure: ids and time are handed in.
 */
import { visibleText } from "../../core/approval.ts";
import { errorLine } from "../../core/errors.ts";
import { canonicalJson, type JsonObject } from "../../core/json.ts";
import type { Call, Decision, Question } from "../../core/step.ts";
import type { OpenCall, ThreadState } from "../../core/thread.ts";
import type { Tool } from "../agent.ts";
import { type Planner, question } from "./plan.ts";
import type { Choice, ChosenCall } from "./step-schema.ts";

/** Most hand-overs between agents before a person has to write again. */
const maxHandoffs = 3;

/** The decision behind a choice. What may not be is `invalid`, with a line that the next step sees. */
export function decide(state: ThreadState, choice: Choice, planner: Planner): Decision {
  switch (choice.type) {
    case "call":
      return decideCalls(state, choice.calls, planner);
    case "reply":
    case "finish":
      return choice;
    case "ask":
      return { type: "ask", question: question(planner, { ...choice, purpose: "agent" }) };
    case "wait": {
      const dueAt = new Date(planner.clock.now().getTime() + choice.minutes * 60_000).toISOString();
      return { type: "wait", timerId: planner.ids.next(), dueAt, reason: choice.reason };
    }
    case "handoff":
      if (choice.to !== "person" && (choice.to === state.agent || state.handoffs >= maxHandoffs)) {
        return {
          type: "invalid",
          intent: "handoff",
          problem: "this thread cannot be handed over again: answer it",
        };
      }
      return { type: "handoff", to: choice.to, reason: choice.reason, text: choice.text };
  }
}

function decideCalls(state: ThreadState, chosen: readonly ChosenCall[], planner: Planner): Decision {
  const read = readCalls(chosen, planner);
  if ("problem" in read) return { type: "invalid", ...read };
  const { calls } = read;
  const unknownPolicy = calls.find(
    ({ approvalPolicy }) => approvalPolicy !== null && !planner.policies.has(approvalPolicy),
  );
  if (unknownPolicy !== undefined) {
    // Failing closed: a tool that names a policy nobody wrote must not run unasked.
    const problem = `${unknownPolicy.tool} needs an approval by the policy "${unknownPolicy.approvalPolicy}", which is not configured`;
    return { type: "invalid", intent: unknownPolicy.tool, problem };
  }
  const unsettled = state.calls.find((open) => calls.some((proposal) => isUnsettled(open, proposal)));
  if (unsettled !== undefined) return { type: "ask", question: outcomeQuestion(planner, unsettled) };
  const asked =
    calls.length === 1 ? state.calls.find((open) => isSameProposal(open, calls[0] as Call)) : undefined;
  if (asked !== undefined) return { type: "reply", text: "That is already waiting for an approval." };
  return { type: "call", calls };
}

/** A tool's own functions read the model's arguments: where one fails, nothing may run, and the next step sees why. */
function readCalls(
  chosen: readonly ChosenCall[],
  planner: Planner,
): { calls: Call[] } | { intent: string; problem: string } {
  const calls: Call[] = [];
  for (const { tool, args } of chosen) {
    try {
      calls.push(call(tool, args, planner));
    } catch (error) {
      return { intent: tool.name, problem: `${tool.name} cannot take these arguments: ${errorLine(error)}` };
    }
  }
  return { calls };
}

/** A `once` call that may have happened: a person says so before anything like it is done again. */
const isUnsettled = (open: OpenCall, proposal: Call): boolean =>
  open.status === "unknown" && open.tool === proposal.tool && open.subject === proposal.subject;

const maxShownCharacters = 2_000;

/** Asks a person whether a call happened. What is long is shortened: a question has at most 10,000 characters. */
export function outcomeQuestion(planner: Planner, { callId, tool, args }: OpenCall, error = ""): Question {
  const all = visibleText(canonicalJson(args));
  const left = all.length - maxShownCharacters;
  const shown =
    left > 0 ? `${all.slice(0, maxShownCharacters).toWellFormed()} [… ${left} characters left out …]` : all;
  const why = error === "" ? "" : ` (${error})`;
  const text = `I started ${tool} with ${shown}, but I do not know whether it happened${why}. I will not do it again on my own. Please look: did it happen?`;
  const facts = { purpose: "tool_outcome", text, format: { kind: "yes_no" }, urgency: "high" } as const;
  return { ...question(planner, facts), callId };
}

const isSameProposal = (open: OpenCall, proposal: Call): boolean =>
  open.status === "awaiting" &&
  open.tool === proposal.tool &&
  canonicalJson(open.args) === canonicalJson(proposal.args);

function call(tool: Tool, args: JsonObject, planner: Planner): Call {
  const approvalPolicy = typeof tool.approval === "function" ? tool.approval(args) : tool.approval;
  return {
    callId: planner.ids.next(),
    tool: tool.name,
    args,
    effect: tool.effect,
    subject: tool.subject?.(args) ?? tool.name,
    approvalPolicy,
  };
}
