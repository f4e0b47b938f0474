/** Promise 5 on the pure core: whatever people, timers and crashes do, a call begins only what was finally approved. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { EventOf, NewEvent } from "../../core/events.ts";
import { applyEvent, fold } from "../../core/fold.ts";
import { nextAction } from "../../core/next-action.ts";
import { emptyThread, type ThreadState, threadStateSchema } from "../../core/thread.ts";
import { binding, numbered, sender } from "../support/arbitraries.ts";
import { limits, loopTurn } from "../support/stories.ts";

/** What the model knows of the one approval that is asked for: nothing of calls, runs or the fold. */
interface Model {
  phase: "none" | "pending" | "approved" | "closed";
  digest: string;
  args: unknown;
  agreed: Set<string>;
  quorum: number;
  begun: number;
}

class Real {
  state: ThreadState = emptyThread;
  log: NewEvent[] = [];
  write(...events: NewEvent[]): void {
    for (const event of numbered(events, this.state.seq)) {
      this.state = applyEvent(this.state, event);
      this.log.push(event);
    }
  }
}

const system = { kind: "system", name: "runtime" } as const;
const write = <T extends NewEvent["type"]>(type: T, data: EventOf<T>): NewEvent =>
  ({ type, data, actor: system }) as NewEvent;
const say = (text: string): NewEvent =>
  write("message_received", {
    messageId: "m",
    text,
    sender: sender("ann"),
    attachments: [],
    via: binding,
    correlationId: "c",
  });
const withdraws = (event: NewEvent): boolean =>
  event.type === "approval_withdrawn" || (event.type === "run_ended" && event.data.outcome === "cancelled");

type Command = fc.Command<Model, Real>;
const check = (model: Model, real: Real): void => {
  const action = nextAction(real.state, limits);
  if (action.do !== "begin") return;
  expect(model.phase).toBe("approved");
  expect(action.calls).toMatchObject([
    { status: "approved", digest: model.digest, args: model.args, callId: "call" },
  ]);
};
const command = (
  name: string,
  applies: (model: Readonly<Model>) => boolean,
  act: (model: Model, real: Real) => void,
): Command => ({
  check: applies,
  run(model, real) {
    act(model, real);
    check(model, real);
  },
  toString: () => name,
});

const decided = (model: Model, facts: Partial<EventOf<"approval_decided">>): NewEvent =>
  write("approval_decided", {
    approvalId: "approval",
    verdict: "approve",
    sender: sender("bob"),
    reason: null,
    args: null,
    digest: model.digest,
    final: false,
    ...facts,
  });
const pending = (model: Readonly<Model>): boolean => model.phase === "pending";

const request = command(
  "request",
  (model) => model.phase === "none",
  (model, real) => {
    const call = {
      callId: "call",
      tool: "deploy",
      args: { tag: "v1" },
      effect: "once",
      subject: "s",
      approvalPolicy: "p",
    } as const;
    const runId = real.state.run?.runId ?? "run";
    const decision = { type: "call" as const, calls: [call] };
    const step = {
      stepId: "s",
      runId,
      basisSeq: real.state.seq,
      reasoning: "",
      confidence: 1,
      decision,
      usage: null,
    };
    real.write(
      ...(real.state.run === null ? [write("run_started", { runId, correlationId: "c" })] : []),
      write("step_decided", step),
      write("approval_requested", {
        approvalId: "approval",
        callId: "call",
        digest: "d1",
        code: "C",
        tool: "deploy",
        args: { tag: "v1" },
        policy: "p",
        policyVersion: "1",
        expiresAt: null,
      }),
    );
    // A cancelled thread takes no step: then there was nothing to ask for.
    if (real.state.calls.some(({ callId }) => callId === "call"))
      Object.assign(model, { phase: "pending", digest: "d1", args: { tag: "v1" } });
  },
);

const approve = (person: string): Command =>
  command(`approve by ${person}`, pending, (model, real) => {
    model.agreed.add(person);
    const final = model.agreed.size >= model.quorum;
    real.write(decided(model, { sender: sender(person), final }));
    if (final) model.phase = "approved";
  });
const edit = (person: string, tag: string): Command =>
  command(`edit by ${person} to ${tag}`, pending, (model, real) => {
    model.agreed = new Set([person]);
    model.digest = `digest-${tag}`;
    model.args = { tag };
    const final = model.quorum === 1;
    real.write(decided(model, { verdict: "edit", sender: sender(person), args: { tag }, final }));
    if (final) model.phase = "approved";
  });
const reject = command("reject", pending, (model, real) => {
  model.phase = "closed";
  real.write(decided(model, { verdict: "reject", final: true, reason: "no" }));
});
const askBack = command("ask back", pending, (model, real) =>
  real.write(decided(model, { verdict: "ask_back", reason: "why?" })),
);
const expire = (consequence: "deny" | "wait" | "escalate"): Command =>
  command(`expire: ${consequence}`, pending, (model, real) => {
    if (consequence === "deny") model.phase = "closed";
    real.write(write("approval_expired", { approvalId: "approval", consequence }));
  });
const withdraw = command(
  "withdraw",
  (model) => model.phase === "pending" || model.phase === "approved",
  (model, real) => {
    model.phase = "closed";
    real.write(write("approval_withdrawn", { approvalId: "approval", reason: "newer" }));
  },
);
/** Verdicts that come after the fact, or name what nobody was asked: the store refuses them; the fold does too. */
const stray = (facts: Partial<EventOf<"approval_decided">>): Command =>
  command(
    `stray ${JSON.stringify(facts)}`,
    () => true,
    (model, real) => {
      if (model.phase === "pending" && facts.approvalId === undefined && facts.digest === undefined) return;
      real.write(decided(model, { final: true, ...facts }));
    },
  );
const message = (text: string): Command =>
  command(
    `message: ${text}`,
    () => true,
    (_, real) => real.write(say(text)),
  );
const halt = (type: "paused" | "cancelled" | "resumed"): Command =>
  command(
    type,
    () => true,
    (_, real) => real.write(type === "resumed" ? write(type, {}) : write(type, { reason: "" })),
  );
const crash = command(
  "crash and load",
  () => true,
  (_, real) => {
    const loaded = threadStateSchema.parse(JSON.parse(JSON.stringify(real.state)));
    expect(fold(numbered(real.log))).toEqual(loaded);
    real.state = loaded;
  },
);
/** One turn of the loop. */
const turn = command(
  "the loop",
  () => true,
  (model, real) => {
    const action = nextAction(real.state, limits);
    if (action.do === "begin") {
      check(model, real);
      model.begun++;
      model.phase = "closed";
    }
    const events = loopTurn({
      state: real.state,
      pick: (below) => below - 1,
      name: `turn-${real.state.seq}`,
    });
    if (events.some(withdraws)) model.phase = model.phase === "none" ? "none" : "closed";
    real.write(...events);
    expect(model.begun).toBeLessThanOrEqual(1);
  },
);

const one = (command: Command) => fc.constant(command);
const commands = fc.commands(
  [
    one(request),
    fc.constantFrom("bob", "cem", "dan").map(approve),
    fc.tuple(fc.constantFrom("bob", "cem"), fc.constantFrom("v2", "v3")).map(([who, tag]) => edit(who, tag)),
    one(reject),
    one(askBack),
    fc.constantFrom("deny" as const, "wait" as const, "escalate" as const).map(expire),
    one(withdraw),
    fc
      .constantFrom<Partial<EventOf<"approval_decided">>>({}, { digest: "other" }, { approvalId: "other" })
      .map(stray),
    fc.constantFrom("hello", "yes", "approve").map(message),
    fc
      .constantFrom("paused" as const, "cancelled" as const, "resumed" as const, "resumed" as const)
      .map(halt),
    one(crash),
    one(turn),
    one(turn),
  ],
  { maxCommands: 40, size: "max" },
);

it("begins a call only after the final approval of exactly what runs, and once", () => {
  let begun = 0;
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 3), commands, (quorum, all) => {
      const model: Model = { phase: "none", digest: "", args: null, agreed: new Set(), quorum, begun: 0 };
      const real = new Real();
      real.write(write("thread_started", { agent: "deploybot", home: binding }), say("deploy v1"));
      fc.modelRun(() => ({ model, real }), all);
      begun += model.begun;
    }),
    { numRuns: 2_000 },
  );
  expect(begun).toBeGreaterThan(20);
});
