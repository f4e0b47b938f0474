import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fold } from "../../core/fold.ts";
import { maxErrorsInRow, nextAction } from "../../core/next-action.ts";
import { emptyThread, type OpenCall, type ThreadState } from "../../core/thread.ts";
import { brokenLog, numbered, senselessLog } from "../support/arbitraries.ts";
import { limits, story, toRest } from "../support/stories.ts";

const call = (callId: string, more: Partial<OpenCall> = {}): OpenCall => ({
  callId,
  tool: "deploy",
  args: {},
  effect: "once",
  subject: "s",
  approvalPolicy: null,
  status: "chosen",
  approvalId: null,
  digest: null,
  attempt: 0,
  idempotencyKey: null,
  ...more,
});
const run: ThreadState["run"] = {
  runId: "r",
  correlationId: "c",
  steps: 1,
  tokens: 0,
  usd: 0,
  requesters: [],
  prefetched: {},
};
const thread = (more: Partial<ThreadState>): ThreadState => ({
  ...emptyThread,
  seq: 9,
  agent: "a",
  run,
  ...more,
});
const unseen = { inputSeq: 9, seenSeq: 5 };
const next = (more: Partial<ThreadState>) => nextAction(thread(more), limits);

describe("the order of safety", () => {
  const running = call("running", { status: "running" });
  const approved = call("approved", { status: "approved", approvalId: "a", digest: "d" });
  const chosen = call("chosen");

  it("brings to an end what was begun before anything else begins or is thought", () => {
    expect(next({ ...unseen, calls: [chosen, approved, running] })).toEqual({
      do: "recover",
      calls: [running],
    });
  });

  it("begins what people approved before it thinks about anything new, one at a time", () => {
    const second = call("second", { status: "approved" });
    expect(next({ ...unseen, calls: [chosen, approved, second] })).toEqual({
      do: "begin",
      calls: [approved],
    });
  });

  it("hears new input before it begins a chosen effect or asks for its approval", () => {
    expect(next({ ...unseen, calls: [chosen] })).toEqual({ do: "think" });
    expect(next({ ...unseen, calls: [call("asks", { approvalPolicy: "p" })] })).toEqual({ do: "think" });
  });

  it("asks for approval before it begins another call of the same step", () => {
    const asks = call("asks", { approvalPolicy: "p" });
    expect(next({ calls: [chosen, asks] })).toEqual({ do: "request_approval", call: asks });
  });

  it("never begins a chosen call that needs an approval, whatever the state", () => {
    fc.assert(
      fc.property(fc.oneof(story, brokenLog, senselessLog), (log) => {
        const action = nextAction(fold(log), limits);
        if (action.do !== "begin") return;
        for (const open of action.calls) {
          expect(
            open.status === "approved" || (open.status === "chosen" && open.approvalPolicy === null),
          ).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("runs reads side by side, and anything with an effect alone", () => {
    const reads = [call("r1", { effect: "read" }), call("r2", { effect: "read" })];
    const writes = [call("w1", { effect: "idempotent" }), call("w2", { effect: "keyed" })];

    expect(next({ calls: [...writes, ...reads] })).toEqual({ do: "begin", calls: reads });
    expect(next({ calls: writes })).toEqual({ do: "begin", calls: [writes[0]] });
  });

  it("does nothing while paused, and only closes what is open once cancelled", () => {
    expect(next({ ...unseen, calls: [running, approved], halted: "paused" })).toEqual({ do: "rest" });
    expect(next({ ...unseen, calls: [running, approved], halted: "cancelled" })).toEqual({ do: "clean_up" });
    const unknown = call("unknown", { status: "unknown" });
    expect(next({ calls: [unknown], run: null, halted: "cancelled" })).toEqual({ do: "rest" });
  });
});

describe("limits", () => {
  it("stop a run at its last step, and no step before", () => {
    expect(next({ ...unseen, run: { ...run, steps: limits.maxSteps } })).toEqual({
      do: "stop",
      reason: "step_limit",
    });
    expect(next({ ...unseen, run: { ...run, steps: limits.maxSteps - 1 } })).toEqual({ do: "think" });
  });

  it("stop after three errors in a row, ask once, and wait for the answer", () => {
    const errors = { ...unseen, errorsInRow: maxErrorsInRow };
    const question = {
      questionId: "q",
      purpose: "errors",
      text: "?",
      format: { kind: "free_text" },
      urgency: "high",
    } as const;
    expect(maxErrorsInRow).toBe(3);
    expect(next({ ...errors, errorsInRow: 2 })).toEqual({ do: "think" });
    expect(next(errors)).toEqual({ do: "stop", reason: "errors" });
    expect(next({ ...errors, question })).toEqual({ do: "rest" });
  });

  it.each([
    ["tokens of the run", { run: { ...run, tokens: limits.run.tokens } }],
    ["USD of the run", { run: { ...run, usd: limits.run.usd } }],
    ["tokens of the thread", { spend: { tokens: limits.thread.tokens, usd: 0 } }],
    ["USD of the thread", { spend: { tokens: 0, usd: limits.thread.usd } }],
  ] as const)("stop when the %s are used up, and go on once a person extended them", (_, spent) => {
    expect(next({ ...unseen, ...spent })).toEqual({ do: "stop", reason: "budget" });
    expect(next({ ...unseen, ...spent, extension: { tokens: 1, usd: 0.01 } })).toEqual({ do: "think" });
  });

  it("count what a failed model call cost", () => {
    const state = thread({ ...unseen });
    const usage = { inputTokens: limits.run.tokens, outputTokens: 0, costUsd: null };
    const data = { runId: "r", basisSeq: 9, kind: "timeout", error: "slow", retryTimerId: "t", usage };
    const actor = { kind: "system", name: "runtime" } as const;
    const after = fold(numbered([{ type: "model_failed", data, actor }], 9), state);

    expect(nextAction(after, limits)).toEqual({ do: "stop", reason: "budget" });
  });

  it("leave a model that is backing off alone until its timer fires", () => {
    const timers: ThreadState["timers"] = [{ timerId: "t", dueAt: "", purpose: "model_retry" }];
    expect(next({ ...unseen, timers })).toEqual({ do: "rest" });
  });
});

describe("left to itself", () => {
  it("the loop comes to rest from wherever a story or a broken log leads", () => {
    fc.assert(
      fc.property(fc.oneof(story, senselessLog), (log) => {
        const { state } = toRest(fold(log));
        expect(nextAction(state, limits)).toEqual({ do: "rest" });
      }),
      { numRuns: 600 },
    );
  });

  it("the loop answers every message, or waits for somebody", () => {
    fc.assert(
      fc.property(story, (log) => {
        const { state } = toRest(fold(log));
        const waits =
          state.halted !== null ||
          state.question !== null ||
          state.timers.length > 0 ||
          state.calls.some(({ status }) => status === "awaiting" || status === "unknown");
        if (!waits) expect(state.unanswered).toEqual([]);
      }),
      { numRuns: 600 },
    );
  });
});

describe("compaction", () => {
  const item = fc.record({
    kind: fc.constant("message" as const),
    from: fc.constant("ann"),
    length: fc.nat({ max: 2_000 }),
  });
  const longThread = fc
    .tuple(fc.array(item, { minLength: 1, maxLength: 40 }), fc.nat({ max: 40 }))
    .map(([items, firstOpen]) => {
      const transcript = items.map(({ length, ...said }, index) => ({
        ...said,
        seq: index + 1,
        text: "x".repeat(length),
      }));
      const unanswered = transcript
        .filter(({ seq }) => seq > firstOpen)
        .map(({ seq }) => ({ seq, by: "ann" }));
      return thread({ seq: 50, inputSeq: 50, seenSeq: 0, transcript, unanswered });
    });

  it("keeps every unanswered message, takes something away each time, and ends", () => {
    let compacted = 0;
    fc.assert(
      fc.property(longThread, (before) => {
        let state = before;
        for (
          let action = nextAction(state, limits);
          action.do !== "think";
          action = nextAction(state, limits)
        ) {
          if (action.do !== "compact") throw new Error(`unexpected: ${action.do}`);
          const data = { throughSeq: action.throughSeq, summary: "x".repeat(500) };
          const actor = { kind: "system", name: "runtime" } as const;
          const after = fold(numbered([{ type: "context_compacted", data, actor }], state.seq), state);
          expect(after.transcript.length).toBeLessThan(state.transcript.length);
          const kept = after.transcript.map(({ seq }) => seq);
          expect(kept).toEqual(expect.arrayContaining(state.unanswered.map(({ seq }) => seq)));
          state = after;
          compacted++;
        }
      }),
      { numRuns: 500 },
    );
    expect(compacted).toBeGreaterThan(100);
  });

  it("makes room before an unanswered message even when that message alone is long", () => {
    const said = (seq: number, length: number) => ({
      kind: "message" as const,
      from: "ann",
      seq,
      text: "x".repeat(length),
    });
    const transcript = [
      said(1, 900),
      said(2, 900),
      said(3, 10),
      said(4, 2_500),
      said(5, 1),
      said(6, 1),
      said(7, 1),
      said(8, 1),
    ];
    const state = thread({ ...unseen, transcript, unanswered: [{ seq: 4, by: "ann" }] });

    expect(nextAction(state, limits)).toEqual({ do: "compact", throughSeq: 3 });
  });
});
