import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Agent } from "../../../agents/agent.ts";
import type { LoopParts } from "../../../agents/runtime/parts.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { ThreadLog } from "../../../core/ports.ts";
import { threadStatus } from "../../../core/thread.ts";
import { type LoopStage, loopStage, reply, says, stepOf, testAgent, until, use } from "../../support/loop.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

let stage: LoopStage;
beforeAll(async () => {
  stage = await loopStage();
});
afterAll(() => stage.close());

const ledgerFor = async (threadId: string) =>
  (await stage.ledger()).filter((line) => line.threadId === threadId);
const lastSaid = async (threadId: string) => (await stage.said(threadId)).at(-1);

/** Commits up to the tool's start, and no further: what a kill in the middle of the tool leaves behind. */
async function killedInside(tool: string) {
  const { threadId } = await stage.say("go");
  const stop = new AbortController();
  const died = stage.run(threadId, { primary: says(use(tool, { id: "a", does: "hang" })) }, stop.signal);
  await until(async () => (await ledgerFor(threadId)).length > 0);
  stop.abort(new Error("killed"));
  await died;
  expect((await stage.state(threadId)).calls).toMatchObject([{ tool, status: "running", attempt: 1 }]);
  return threadId;
}

/** The tools without their hanging: the second attempt comes to an end. */
function healed(): ReadonlyMap<string, Agent> {
  const agent = testAgent(stage.folder);
  const tools = agent.tools.map((tool) => ({
    ...tool,
    run: (args: object, context: never) => tool.run({ ...args, does: "ok" }, context),
  }));
  return new Map([["tester", { ...agent, tools } as Agent]]);
}

describe("a worker that died while a tool ran", () => {
  it.each(["look", "set", "charge"])("leaves %s to the next, which runs it again", async (tool) => {
    const threadId = await killedInside(tool);
    const model = says(reply("done"));
    await stage.run(threadId, { primary: model, agents: healed(), owner: "worker-2" });

    const begun = (await ledgerFor(threadId)).filter(({ phase }) => phase === "begin");
    expect(begun.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(begun.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
    expect(await stage.said(threadId)).toMatchObject([{ text: "done", answers: [2] }]);
  });

  it.each([
    ["yes", "A person confirmed that it happened."],
    ["No.", "A person says that it did not happen."],
  ])("never has a once tool run again: a person is asked, and %s settles it", async (answer, told) => {
    const threadId = await killedInside("launch");
    await stage.run(threadId, { primary: says(), owner: "worker-2" });
    expect(await stage.said(threadId)).toMatchObject([{ kind: "question", text: /did it happen\?$/ }]);
    expect(threadStatus(await stage.state(threadId))).toBe("waiting");
    await stage.run(threadId, { primary: says(), owner: "worker-3" });

    await stage.say(answer, { threadId });
    const model = says(reply("good"));
    await stage.run(threadId, { primary: model });
    expect(model.requests[0]?.messages[1]?.content).toContain(told);
    expect((await ledgerFor(threadId)).filter(({ phase }) => phase === "begin")).toHaveLength(1);
  });

  it("has the same question asked again when the model proposes the call before it is settled", async () => {
    const threadId = await killedInside("launch");
    await stage.run(threadId, { primary: says() });
    await stage.say("just do it", { threadId });
    await stage.run(threadId, { primary: says(use("launch", { id: "a" })) });

    expect((await ledgerFor(threadId)).filter(({ phase }) => phase === "begin")).toHaveLength(1);
    expect(await lastSaid(threadId)).toMatchObject({ kind: "question", text: /did it happen\?$/ });
    expect((await stage.state(threadId)).question).toMatchObject({ purpose: "tool_outcome" });
  });

  it("can be asked about a call with arguments longer than a question may be", async () => {
    const { threadId } = await stage.say("go");
    const stop = new AbortController();
    const long = use("launch", { id: "a".repeat(20_000), does: "hang" });
    const died = stage.run(threadId, { primary: says(long) }, stop.signal);
    await until(async () => (await ledgerFor(threadId)).length > 0);
    stop.abort();
    await died;
    await stage.run(threadId, { primary: says() });
    expect((await lastSaid(threadId))?.text).toContain("characters left out");
    await stage.say("yes", { threadId });
    await stage.run(threadId, { primary: says(reply("fine")) });
    expect(await lastSaid(threadId)).toMatchObject({ text: "fine" });
  });

  it("five times over is a failure that the model sees", async () => {
    const threadId = await killedInside("set");
    for (let attempt = 2; attempt <= 5; attempt++) {
      const stop = new AbortController();
      const died = stage.run(threadId, { primary: says() }, stop.signal);
      await until(
        async () => (await ledgerFor(threadId)).filter(({ phase }) => phase === "begin").length === attempt,
      );
      stop.abort();
      await died;
    }
    await stage.run(threadId, { primary: says(reply("it does not work")) });
    expect((await stage.events(threadId)).find(({ type }) => type === "tool_failed")?.data).toMatchObject({
      error: expect.stringContaining("attempt 5"),
    });
  });
});

describe("a tool that runs out of time", () => {
  const impatient = (): ReadonlyMap<string, Agent> =>
    new Map([["tester", testAgent(stage.folder, { toolTimeoutMs: 80 })]]);

  it.each(["look", "set"])("with harmless effect (%s) has failed", async (tool) => {
    const { threadId } = await stage.say("go");
    const model = says(use(tool, { id: "a", does: "hang" }), reply("too slow"));
    await stage.run(threadId, { primary: model, agents: impatient() });
    expect(model.requests[1]?.messages[1]?.content).toContain("no answer within 0.08 s");
    expect(await ledgerFor(threadId)).toHaveLength(1);
  });

  it("with a key is tried once more under it, then a person is asked", async () => {
    const { threadId } = await stage.say("go");
    await stage.run(threadId, {
      primary: says(use("charge", { id: "a", does: "hang" })),
      agents: impatient(),
    });
    const begun = await ledgerFor(threadId);
    expect(begun.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(begun[0]?.idempotencyKey).toBe(begun[1]?.idempotencyKey);
    expect(await stage.said(threadId)).toMatchObject([{ kind: "question" }]);
  });

  it("once is asked about and not tried again", async () => {
    const { threadId } = await stage.say("go");
    await stage.run(threadId, {
      primary: says(use("launch", { id: "a", does: "hang" })),
      agents: impatient(),
    });
    expect(await ledgerFor(threadId)).toHaveLength(1);
    expect(await stage.said(threadId)).toMatchObject([{ kind: "question", text: /no answer within/ }]);
  });

  it("and ignores its signal is left behind after a while", async () => {
    const { threadId } = await stage.say("go");
    const startedAt = performance.now();
    await stage.run(threadId, {
      primary: says(use("look", { id: "a", does: "ignore" }), reply("left it")),
      agents: impatient(),
    });
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    expect(await stage.said(threadId)).toMatchObject([{ text: "left it" }]);
  });
});

describe("a cancellation", () => {
  it("during a model call ends it within a third of the lease", async () => {
    const { threadId } = await stage.say("go");
    let asked = false;
    const hanging = scriptedModel(() => {
      asked = true;
      return new Promise(() => undefined);
    });
    const running = stage.run(threadId, { primary: hanging, leaseTtlMs: 300 });
    await until(() => asked);
    await stage.cancel(threadId);
    const cancelledAt = performance.now();
    await running;
    expect(performance.now() - cancelledAt).toBeLessThan(1_000);
    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "Cancelled.", answers: [2] }]);
  });

  it("during a once tool cuts it off and asks whether it happened", async () => {
    const { threadId } = await stage.say("go");
    const running = stage.run(threadId, {
      primary: says(use("launch", { id: "a", does: "hang" })),
      leaseTtlMs: 300,
    });
    await until(async () => (await ledgerFor(threadId)).length > 0);
    await stage.cancel(threadId);
    await running;
    const said = await stage.said(threadId);
    expect(said.map(({ kind }) => kind).sort()).toEqual(["question", "reply"]);
    expect(said).toContainEqual({ kind: "reply", text: "Cancelled.", answers: [2] });
    expect(await ledgerFor(threadId)).toHaveLength(1);
  });

  it("followed at once by a message is cleaned up, and the message is answered", async () => {
    const { threadId } = await stage.say("go");
    let asked = false;
    const hanging = scriptedModel(() => {
      asked = true;
      return new Promise(() => undefined);
    });
    const running = stage.run(threadId, { primary: hanging, leaseTtlMs: 300 });
    await until(() => asked);
    await stage.cancel(threadId);
    await stage.say("something else", { threadId });
    await running;
    await stage.run(threadId, { primary: says(reply("here")) });
    expect(await lastSaid(threadId)).toMatchObject({ text: "here" });
  });
});

describe("a failure inside the program", () => {
  const failing = (error: Error): Partial<LoopParts> => ({
    log: {
      ...stage.log,
      commit: () => Promise.reject(error),
    } satisfies ThreadLog,
  });

  it("leaves the thread runnable after a pause that grows, and after six its message gets an answer", async () => {
    const { threadId } = await stage.say("go");
    const agents = new Map<string, Agent>([
      [
        "tester",
        testAgent(stage.folder, {
          promptVariables: () => {
            throw new Error("a defect");
          },
        }),
      ],
    ]);
    const pauses: number[] = [];
    for (let failure = 1; failure <= 5; failure++) {
      await stage.run(threadId, { primary: says(), agents });
      const [row] = await stage.sql(
        "select failures, extract(epoch from runnable_since - now())::float8 as pause_s from threads where id = $1",
        [threadId],
      );
      expect(row?.failures).toBe(failure);
      pauses.push(Math.round(Number(row?.pause_s)));
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16]);
    expect(await stage.said(threadId)).toEqual([]);

    await stage.run(threadId, { primary: says(), agents });
    expect(await stage.said(threadId)).toMatchObject([
      { text: /Something is wrong on our side/, answers: [2] },
    ]);
    const [row] = await stage.sql("select lease_owner, runnable_since from threads where id = $1", [
      threadId,
    ]);
    expect(row).toEqual({ lease_owner: null, runnable_since: null });
  });

  it("of the database is never taken for the thread's own", async () => {
    const { threadId } = await stage.say("go");
    const down = new ParleyError("database is down", { operation: "commit", publicText: "Later." });
    for (let failure = 1; failure <= 7; failure++) {
      await stage.run(threadId, { primary: says(reply("hi")), ...failing(down) });
    }
    expect(await stage.said(threadId)).toEqual([]);
    await stage.run(threadId, { primary: says(reply("hi")) });
    expect(await stage.said(threadId)).toMatchObject([{ text: "hi", answers: [2] }]);
  });

  it("in a tool's own approval rule runs nothing and shows to the model", async () => {
    const { threadId } = await stage.say("go");
    const tester = stage.parts.agents.get("tester")!;
    const broken = tester.tools.map((tool) => ({
      ...tool,
      approval: () => {
        throw new Error("no such environment");
      },
    }));
    const model = says(use("launch", { id: "a" }), reply("cannot"));
    await stage.run(threadId, {
      primary: model,
      agents: new Map([["tester", { ...tester, tools: broken }]]),
    });
    expect(await ledgerFor(threadId)).toEqual([]);
    expect(model.requests[1]?.messages[1]?.content).toContain("no such environment");
  });
});

describe("an agent that is no longer configured", () => {
  const gone: Partial<LoopParts> = { agents: new Map() };

  it("answers the message with a sentence that says so", async () => {
    const { threadId } = await stage.say("go");
    await stage.run(threadId, gone);
    expect(await stage.said(threadId)).toMatchObject([{ text: /"tester" is not available/, answers: [2] }]);
  });

  it("begins nothing that was approved, uses no approval, and says so", async () => {
    const { threadId } = await stage.say("go");
    await stage.run(threadId, { primary: says(use("launch", { id: "a", policy: "ask" })) });
    const { approvalId } = await stage.pendingApproval(threadId);
    await stage.decide(approvalId, "approve");
    await stage.run(threadId, gone);

    expect(await ledgerFor(threadId)).toEqual([]);
    expect((await stage.approvals.get(approvalId))?.status).not.toBe("used");
    expect(await lastSaid(threadId)).toMatchObject({ text: /"tester" is not available/ });
  });

  it("does not leave a begun call hanging", async () => {
    const threadId = await killedInside("set");
    await stage.run(threadId, gone);
    expect(await lastSaid(threadId)).toMatchObject({ text: /"tester" is not available/ });
    expect((await stage.state(threadId)).calls).toEqual([]);
  });
});

it("stops at the step limit with an answer, and the next message has a run of its own", async () => {
  const { threadId } = await stage.say("go");
  const agents = new Map([["tester", testAgent(stage.folder, { limits: { maxSteps: 3 } })]]);
  const look = use("look", { id: "a" });
  await stage.run(threadId, { agents, primary: says(look, look, look) });
  expect(await stage.said(threadId)).toMatchObject([{ text: /I have taken 3 steps/, answers: [2] }]);

  await stage.say("smaller then", { threadId });
  await stage.run(threadId, { agents, primary: says(stepOf("finish", { text: "done" })) });
  expect(await lastSaid(threadId)).toMatchObject({ text: "done" });
});
