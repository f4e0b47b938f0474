import { describe, expect, it } from "vitest";
import { decide } from "../../../agents/runtime/decide.ts";
import { consequences, type Planner, requestApproval } from "../../../agents/runtime/plan.ts";
import type { Choice } from "../../../agents/runtime/step-schema.ts";
import { actionDigest, policySchema } from "../../../core/approval.ts";
import { type EventType, eventShape, type NewEvent } from "../../../core/events.ts";
import { applyEvent } from "../../../core/fold.ts";
import type { Decision } from "../../../core/step.ts";
import { emptyThread, type OpenCall, type ThreadState } from "../../../core/thread.ts";
import { bindingAt, person, type ToolArgs, testAgent } from "../../support/loop.ts";

const agent = testAgent("/nowhere");
const threadId = "018f0000-0000-7000-8000-00000000aaaa";

function planner(): Planner {
  let next = 0;
  return {
    threadId,
    ids: {
      next: () => `018f0000-0000-7000-8000-${String(++next).padStart(12, "0")}`,
      randomBytes: (count) => new Uint8Array(count).fill(3),
    },
    clock: { now: () => new Date("2026-01-01T00:00:00Z") },
    policies: new Map([
      ["ask", policySchema.parse({ name: "ask", expiresAfterMs: 60_000 })],
      ["open", policySchema.parse({ name: "open" })],
    ]),
  };
}

const working: ThreadState = {
  ...emptyThread,
  seq: 3,
  agent: "tester",
  home: bindingAt("home"),
  transcript: [{ kind: "message", seq: 2, from: "Ann", text: "go" }],
  unanswered: [{ seq: 2, by: "ann" }],
  latest: { seq: 2, via: bindingAt("here"), sender: person("Ann"), correlationId: "c" },
  inputSeq: 2,
  run: {
    runId: "r",
    correlationId: "c",
    steps: 0,
    tokens: 0,
    usd: 0,
    requesters: ["ann", "bob"],
    prefetched: {},
  },
};

const chosen = (...calls: [string, ToolArgs][]): Choice => ({
  type: "call",
  calls: calls.map(([name, args]) => ({
    tool: agent.tools.find((tool) => tool.name === name)!,
    args: args as never,
  })),
});

const waiting = (id: string, more: Partial<OpenCall> = {}): OpenCall => ({
  callId: `call-${id}`,
  tool: "launch",
  args: { id, policy: "ask" },
  effect: "once",
  subject: `launch ${id}`,
  approvalPolicy: "ask",
  status: "awaiting",
  approvalId: `approval-${id}`,
  digest: "d",
  attempt: 0,
  idempotencyKey: null,
  ...more,
});

/** The decision, and what follows once the step is in the log. */
function follow(choice: Choice, state = working, by = planner()) {
  const decision = decide(state, choice, by);
  const step: NewEvent = {
    type: "step_decided",
    data: { stepId: "s", runId: "r", basisSeq: 2, reasoning: "", confidence: 1, decision, usage: null },
    actor: { kind: "agent", name: "tester" },
  };
  const after = applyEvent(state, { ...step, v: 1, seq: state.seq + 1, at: "" });
  const plan = consequences(after, decision, agent, by);
  for (const event of plan.events) eventShape(event.type).parse(event.data);
  return { decision, plan, types: plan.events.map(({ type }) => type) };
}

const sends = ({ plan }: ReturnType<typeof follow>) =>
  plan.outbox.map(({ kind, content, answers }) => ({ kind, text: content.text, answers }));

describe("a decision", () => {
  it("to reply answers all that was seen, where the newest message came from, and ends the run", () => {
    const followed = follow({ type: "reply", text: "hi" });
    expect(followed.types).toEqual(["reply_committed", "run_ended"]);
    expect(followed.plan.outbox).toMatchObject([
      { kind: "reply", binding: bindingAt("here"), content: { text: "hi" }, answers: [2] },
    ]);
  });

  it("to reply does not answer what came after the model was asked", () => {
    const unanswered = [...working.unanswered, { seq: 3, by: "bob" }];
    expect(sends(follow({ type: "reply", text: "hi" }, { ...working, unanswered }))).toMatchObject([
      { answers: [2] },
    ]);
  });

  it("to reply goes to the thread's home when nobody wrote last", () => {
    const followed = follow({ type: "reply", text: "hi" }, { ...working, latest: null });
    expect(followed.plan.outbox[0]?.binding).toEqual(bindingAt("home"));
  });

  it.each([
    ["with a last word says it", "bye", [{ kind: "reply", text: "bye", answers: [2] }]],
    ["without one still answers whoever waits", null, [{ kind: "reply", text: "Done.", answers: [2] }]],
  ])("to finish %s", (_, text, expected) => {
    const followed = follow({ type: "finish", text });
    expect(sends(followed)).toEqual(expected);
    expect(followed.types.at(-1)).toBe("run_ended");
  });

  it("to finish is silent where nobody waits", () => {
    const followed = follow({ type: "finish", text: null }, { ...working, unanswered: [] });
    expect(followed.types).toEqual(["run_ended"]);
    expect(followed.plan.outbox).toEqual([]);
  });

  it("to ask keeps the run open and answers nothing yet", () => {
    const followed = follow({ type: "ask", text: "Which?", format: { kind: "yes_no" }, urgency: "high" });
    expect(followed.types).toEqual(["question_asked"]);
    expect(followed.plan.outbox).toMatchObject([
      {
        kind: "question",
        content: { text: "Which?", format: { kind: "yes_no" }, urgency: "high" },
        answers: [],
      },
    ]);
  });

  it("to wait sets one timer by the clock that was handed in", () => {
    const followed = follow({ type: "wait", minutes: 90, reason: "so" });
    const dueAt = "2026-01-01T01:30:00.000Z";
    expect(followed.types).toEqual(["timer_set"]);
    expect(followed.plan.timers).toMatchObject([{ kind: "wait", dueAt }]);
    expect(followed.plan.events[0]?.data).toMatchObject({
      timerId: followed.plan.timers[0]?.timerId,
      dueAt,
    });
  });

  it("to hand over to an agent leaves the answer to it", () => {
    const followed = follow({ type: "handoff", to: "other", reason: "theirs", text: "unsaid" });
    expect(followed.types).toEqual(["handed_off", "run_ended"]);
    expect(followed.plan.outbox).toEqual([]);
  });

  it.each([
    ["the agent's words", "Ann will help.", "Ann will help."],
    ["a plain sentence", "", "I am handing this over to a person."],
  ])("to hand over to a person tells people so, with %s", (_, text, said) => {
    const followed = follow({ type: "handoff", to: "person", reason: "unsure", text });
    expect(sends(followed)).toEqual([{ kind: "reply", text: said, answers: [2] }]);
    expect(followed.types).toEqual(["reply_committed", "handed_off", "run_ended"]);
  });

  it.each<[string, Partial<ThreadState>, string, Decision["type"]]>([
    ["to itself is refused", {}, "tester", "invalid"],
    ["for the third time is allowed", { handoffs: 2 }, "other", "handoff"],
    ["for the fourth time is refused", { handoffs: 3 }, "other", "invalid"],
    ["to a person is always allowed", { handoffs: 9 }, "person", "handoff"],
  ])("to hand over %s", (_, more, to, expected) => {
    const followed = follow({ type: "handoff", to, reason: "", text: "" }, { ...working, ...more });
    expect(followed.decision.type).toBe(expected);
    if (expected === "invalid") expect(followed.plan.events).toEqual([]);
  });

  it("to call a tool that needs nobody writes nothing but the step", () => {
    const followed = follow(chosen(["look", { id: "a" }]));
    expect(followed.decision).toMatchObject({
      type: "call",
      calls: [{ tool: "look", effect: "read", subject: "look a", approvalPolicy: null }],
    });
    expect(followed.types).toEqual([]);
  });
});

describe("a call that needs an approval", () => {
  it("is asked for in the same commit: event, row, card and expiry agree", () => {
    const { decision, plan, types } = follow(chosen(["launch", { id: "a", policy: "ask" }]));
    const [approval] = plan.approvals;
    expect(types).toEqual(["approval_requested"]);
    expect(approval).toMatchObject({
      threadId,
      tool: "launch",
      args: { id: "a", policy: "ask" },
      requesters: ["ann", "bob"],
      expiresAt: "2026-01-01T00:01:00.000Z",
      summary: "launch a",
    });
    const { approvalId, digest, code, summary, policy, ...action } = approval!;
    expect(digest).toBe(actionDigest(action));
    expect(plan.events[0]?.data).toMatchObject({ approvalId, digest, code, policy: policy.name });
    expect(plan.outbox).toMatchObject([{ kind: "approval", content: { approvalId, digest, code, summary } }]);
    expect(plan.timers).toMatchObject([
      { kind: "approval_expiry", subject: approvalId, dueAt: action.expiresAt },
    ]);
    expect(decision).toMatchObject({ calls: [{ callId: action.callId }] });
  });

  it("that never expires has no timer", () => {
    const { plan } = follow(chosen(["launch", { id: "a", policy: "open" }]));
    expect(plan.approvals[0]?.expiresAt).toBeNull();
    expect(plan.timers).toEqual([]);
  });

  it("by a policy that nobody wrote fails closed", () => {
    const { decision, plan } = follow(chosen(["launch", { id: "a", policy: "unwritten" }]));
    expect(decision).toMatchObject({ type: "invalid", problem: expect.stringContaining('"unwritten"') });
    expect([plan.events, plan.approvals, plan.outbox]).toEqual([[], [], []]);
  });

  it("withdraws an older one on the same subject, and no other", () => {
    const calls = [waiting("a"), waiting("b")];
    const followed = follow(chosen(["launch", { id: "a", does: "slow", policy: "ask" }]), {
      ...working,
      calls,
    });
    expect(followed.plan.withdrawApprovals).toEqual(["approval-a"]);
    expect(followed.types).toEqual(["approval_withdrawn", "approval_requested"]);
  });

  it("that is proposed again just as it is gets no second card", () => {
    const followed = follow(chosen(["launch", { policy: "ask", id: "a" }]), {
      ...working,
      calls: [waiting("a")],
    });
    expect(followed.decision).toEqual({ type: "reply", text: "That is already waiting for an approval." });
    expect(followed.plan.withdrawApprovals).toEqual([]);
  });

  it("gets a card even if the tool's summary fails", () => {
    const broken = {
      ...agent,
      tools: agent.tools.map((tool) => ({
        ...tool,
        summary: () => {
          throw new Error("no");
        },
      })),
    };
    const open = waiting("a", { status: "chosen", approvalId: null });
    const plan = requestApproval({ ...working, calls: [open] }, open, broken, planner());
    expect(plan.approvals).toMatchObject([{ summary: null }]);
  });
});

describe("a once call that may have happened", () => {
  const unknown = { ...working, calls: [waiting("a", { status: "unknown" })] };

  it("is asked about again instead of being done again", () => {
    const followed = follow(chosen(["launch", { id: "a" }]), unknown);
    expect(followed.types).toEqual(["question_asked"]);
    expect(followed.plan.events[0]?.data).toMatchObject({ purpose: "tool_outcome", callId: "call-a" });
  });

  it("does not keep a call on another subject from being made", () => {
    expect(follow(chosen(["launch", { id: "b" }]), unknown).decision.type).toBe("call");
  });
});

it("the same choice with the same ids and clock gives the same commit", () => {
  const twice = [1, 2].map(() => follow(chosen(["launch", { id: "a", policy: "ask" }])));
  expect(twice[0]).toEqual(twice[1]);
});

it("a thread without a run follows nothing", () => {
  const decision: Decision = { type: "reply", text: "late" };
  const types: EventType[] = consequences({ ...working, run: null }, decision, agent, planner()).events.map(
    ({ type }) => type,
  );
  expect(types).toEqual([]);
});
