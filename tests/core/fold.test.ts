import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EventOf, NewEvent } from "../../core/events.ts";
import { applyEvent, fold } from "../../core/fold.ts";
import { nextAction } from "../../core/next-action.ts";
import {
  emptyThread,
  type ThreadState,
  threadStateSchema,
  threadStatus,
  waitingFor,
} from "../../core/thread.ts";
import { binding, brokenLog, numbered, sender, senselessLog } from "../support/arbitraries.ts";
import { limits, story } from "../support/stories.ts";
import { naiveStatus } from "./naive-status.ts";

const runs = { numRuns: 400 };
const anyLog = fc.oneof(brokenLog, senselessLog, story);
const reloaded = (state: ThreadState): ThreadState =>
  threadStateSchema.parse(JSON.parse(JSON.stringify(state)));

describe("the fold", () => {
  it("gives a valid state for any known events in any order, and what comes next never throws on it", () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const state = fold(log);
        expect(threadStateSchema.parse(state)).toEqual(state);
        nextAction(state, limits);
        threadStatus(state);
        waitingFor(state);
      }),
      { numRuns: 1_500 },
    );
  });

  it("changes neither the events nor the state it is given", () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), (log, cut) => {
        const from = fold(log.slice(0, cut % (log.length + 1)));
        const before = structuredClone({ log, from });
        expect(fold(log, from)).toEqual(fold(log, from));
        expect({ log, from }).toEqual(before);
      }),
      runs,
    );
  });

  it("ignores events at or below its position", () => {
    fc.assert(
      fc.property(anyLog, brokenLog, (log, late) => {
        const state = fold(log);
        expect(
          fold(
            late.filter(({ seq }) => seq <= state.seq),
            state,
          ),
        ).toBe(state);
      }),
      runs,
    );
  });

  it("comes to the same end in pieces, saved and loaded between them", () => {
    fc.assert(
      fc.property(anyLog, fc.array(fc.nat({ max: 80 }), { maxLength: 4 }), (log, cuts) => {
        const places = [0, ...cuts.map((cut) => cut % (log.length + 1)).sort((a, b) => a - b), log.length];
        const pieces = places.slice(1).map((end, index) => log.slice(places[index], end));
        const end = pieces.reduce<ThreadState>((state, piece) => reloaded(fold(piece, state)), emptyThread);
        expect(end).toEqual(fold(log));
      }),
      runs,
    );
  });

  it("at N is the fold of the first N, whatever comes behind", () => {
    fc.assert(
      fc.property(story, fc.nat(), (log, at) => {
        const n = at % (log.length + 1);
        let state = emptyThread;
        const states = log.map((event) => {
          state = applyEvent(state, event);
          return state;
        });
        expect(fold(log.slice(0, n))).toEqual(n === 0 ? emptyThread : states[n - 1]);
      }),
      runs,
    );
  });

  it("counts a step once: the same step again changes the position and nothing else", () => {
    let repeated = 0;
    fc.assert(
      fc.property(story, fc.nat(), fc.nat(), (log, which, later) => {
        const steps = log.filter(({ type }) => type === "step_decided");
        const step = steps[which % (steps.length || 1)];
        if (step === undefined) return;
        const end = Math.max(step.seq, later % (log.length + 1));
        const state = fold(log.slice(0, end));
        expect(applyEvent(state, { ...step, seq: end + 1 })).toEqual({ ...state, seq: end + 1 });
        repeated++;
      }),
      runs,
    );
    expect(repeated).toBeGreaterThan(100);
  });

  it("gives the status that a plain reading of the log gives", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(story, (log) => {
        const cancelled = log.findIndex(({ type }) => type === "cancelled");
        const until = cancelled < 0 ? log : log.slice(0, cancelled);
        for (let n = 2; n <= until.length; n++) {
          const status = threadStatus(fold(until.slice(0, n)));
          expect(`${n} ${status}`).toBe(`${n} ${naiveStatus(until.slice(0, n))}`);
          seen.add(status);
        }
      }),
      { numRuns: 300 },
    );
    expect([...seen].sort()).toEqual(["done", "paused", "running", "waiting"]);
  });

  it("tells of no thread that it runs while nothing would be done, and of none that it is done with something to do", () => {
    fc.assert(
      fc.property(story, (log) => {
        const state = fold(log);
        const rests = nextAction(state, limits).do === "rest";
        const blocked = state.question?.purpose === "tool_outcome";
        if (rests && !blocked) expect(threadStatus(state)).not.toBe("running");
        if (!rests) expect(["running", "cancelled", "waiting"]).toContain(threadStatus(state));
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps every message unanswered until a reply names it", () => {
    fc.assert(
      fc.property(story, (log) => {
        const replies = log.flatMap((event) => (event.type === "reply_committed" ? event.data.answers : []));
        const messages = log.filter(({ type }) => type === "message_received").map(({ seq }) => seq);
        expect(fold(log).unanswered.map(({ seq }) => seq)).toEqual(
          messages.filter((seq) => !replies.includes(seq)),
        );
      }),
      runs,
    );
  });
});

const system = { kind: "system", name: "runtime" } as const;
const ann = sender("ann");
const say = (text: string, who = ann): NewEvent => ({
  type: "message_received",
  data: { messageId: "m", text, sender: who, attachments: [], via: binding, correlationId: "c" },
  actor: { kind: "person", sender: who },
});
const write = <T extends NewEvent["type"]>(type: T, data: EventOf<T>): NewEvent =>
  ({ type, data, actor: system }) as NewEvent;
const started = write("thread_started", { agent: "deploybot", home: binding });
const run = write("run_started", { runId: "r", correlationId: "c" });
const step = (basisSeq: number, decision: EventOf<"step_decided">["decision"]): NewEvent =>
  write("step_decided", {
    stepId: "s",
    runId: "r",
    basisSeq,
    reasoning: "",
    confidence: 1,
    decision,
    usage: null,
  });
const deploy = {
  callId: "call",
  tool: "deploy",
  args: { tag: "v1" },
  effect: "once",
  subject: "backend",
  approvalPolicy: "two people",
} as const;
const request = write("approval_requested", {
  approvalId: "a",
  callId: "call",
  digest: "d1",
  code: "C",
  tool: "deploy",
  args: { tag: "v1" },
  policy: "two people",
  policyVersion: "1",
  expiresAt: null,
});
const decide = (facts: Partial<EventOf<"approval_decided">>): NewEvent =>
  write("approval_decided", {
    approvalId: "a",
    verdict: "approve",
    sender: ann,
    reason: null,
    args: null,
    digest: "d1",
    final: true,
    ...facts,
  });
const proposed = [started, say("deploy v1"), run, step(2, { type: "call", calls: [deploy] }), request];
const folded = (...events: NewEvent[]): ThreadState => fold(numbered(events));

describe("approvals in the fold", () => {
  it("run the edited arguments when an edit was agreed to by a quorum", () => {
    const edit = decide({ verdict: "edit", args: { tag: "v2" }, digest: "d2", final: false });
    const edited = folded(...proposed, edit);
    const approved = folded(...proposed, edit, decide({ digest: "d2", sender: sender("bob") }));

    expect(edited.calls).toMatchObject([{ status: "awaiting", args: { tag: "v2" }, digest: "d2" }]);
    expect(approved.calls).toMatchObject([{ status: "approved", args: { tag: "v2" }, digest: "d2" }]);
  });

  it("are not given by an approval of another digest", () => {
    expect(folded(...proposed, decide({ digest: "other" })).calls).toMatchObject([{ status: "awaiting" }]);
  });

  it("end with a withdrawal even after they were given, as long as nothing began", () => {
    const withdrawn = write("approval_withdrawn", { approvalId: "a", reason: "replaced" });

    expect(folded(...proposed, decide({}), withdrawn).calls).toEqual([]);
  });
});

describe("a cancellation", () => {
  const cancel = write("cancelled", { reason: "stop" });
  const closed = [
    write("approval_withdrawn", { approvalId: "a", reason: "cancelled" }),
    write("reply_committed", { runId: "r", outboxId: "o", text: "Cancelled.", answers: [2] }),
    write("run_ended", { runId: "r", outcome: "cancelled" }),
  ];

  it("stands when a message follows before it was carried out: nothing approved begins", () => {
    const state = folded(...proposed, decide({}), cancel, say("do something else"));

    expect(nextAction(state, limits)).toEqual({ do: "clean_up" });
    expect(threadStatus(state)).toBe("cancelled");
  });

  it("leaves the message that followed it to be decided about, once all is closed", () => {
    const state = folded(...proposed, decide({}), cancel, say("do something else"), ...closed);

    expect(state.calls).toEqual([]);
    expect(state.unanswered).toEqual([{ seq: 8, by: "ann" }]);
    expect(nextAction(state, limits)).toEqual({ do: "think" });
  });

  it("rests when nothing followed, and is woken by a message later", () => {
    const state = folded(...proposed, cancel, ...closed);

    expect(nextAction(state, limits)).toEqual({ do: "rest" });
    expect(threadStatus(state)).toBe("cancelled");
    expect(nextAction(fold(numbered([say("again")], state.seq), state), limits)).toEqual({ do: "think" });
  });

  it("makes a thought that was under way a late step", () => {
    const state = folded(...proposed.slice(0, 3), cancel);
    const late = step(2, { type: "call", calls: [deploy] });

    expect(fold(numbered([late], state.seq), state).calls).toEqual([]);
  });
});

describe("a call whose outcome is unknown", () => {
  const agent = { kind: "agent", name: "a" } as const;
  const call = {
    callId: "c1",
    tool: "pay",
    args: {},
    effect: "once",
    subject: "pay",
    approvalPolicy: null,
  } as const;
  const step = { stepId: "s1", runId: "r1", basisSeq: 2, reasoning: "", confidence: 1, usage: null };
  const ask = (purpose: "tool_outcome" | "errors" | "agent", format: "yes_no" | "free_text"): NewEvent => ({
    type: "question_asked",
    data: {
      questionId: purpose,
      runId: "r1",
      purpose,
      text: "?",
      format: { kind: format },
      urgency: "high",
      ...(purpose === "tool_outcome" ? { callId: "c1" } : {}),
    },
    actor: agent,
  });
  const say = (text: string): NewEvent => ({
    type: "message_received",
    data: { messageId: text, text, sender: sender("ann"), attachments: [], via: binding, correlationId: "x" },
    actor: { kind: "person", sender: sender("ann") },
  });
  const begun: NewEvent[] = [
    { type: "thread_started", data: { agent: "a", home: binding }, actor: agent },
    say("pay"),
    { type: "run_started", data: { runId: "r1", correlationId: "x" }, actor: agent },
    { type: "step_decided", data: { ...step, decision: { type: "call", calls: [call] } }, actor: agent },
    {
      type: "tool_started",
      data: { callId: "c1", attempt: 1, idempotencyKey: "c1", approvalId: null },
      actor: agent,
    },
    { type: "tool_outcome_unknown", data: { callId: "c1", error: "killed" }, actor: agent },
    ask("tool_outcome", "yes_no"),
  ];
  const stateAfter = (...more: NewEvent[]): ThreadState => fold(numbered([...begun, ...more]));

  it("is settled by a plain yes or no, and by nothing else", () => {
    expect(stateAfter(say("yes")).calls).toEqual([]);
    expect(stateAfter(say("no")).transcript.at(-1)).toMatchObject({ kind: "failure", tool: "pay" });
    expect(stateAfter(say("yes, but why?")).calls).toMatchObject([{ status: "unknown" }]);
  });

  it("can still be settled after code has asked something else", () => {
    const state = stateAfter(ask("errors", "free_text"), say("yes"));
    expect(state.calls).toEqual([]);
    expect(state.question).toMatchObject({ purpose: "errors" });
  });

  it("is not settled by the answer to a yes or no of the agent's own", () => {
    const state = stateAfter(ask("agent", "yes_no"), say("yes"));
    expect(state.calls).toMatchObject([{ status: "unknown" }]);
    expect(state.question).toBeNull();
    expect(fold(numbered([...begun, ask("agent", "yes_no"), say("yes"), say("no")])).calls).toEqual([]);
  });
});
