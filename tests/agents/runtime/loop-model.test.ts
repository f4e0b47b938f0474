import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Agent } from "../../../agents/agent.ts";
import type { Budgets } from "../../../agents/runtime/limits.ts";
import { ModelError, type ModelErrorKind } from "../../../core/errors.ts";
import { threadStatus } from "../../../core/thread.ts";
import { type LoopStage, loopStage, person, reply, says, testAgent, use } from "../../support/loop.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

let stage: LoopStage;
beforeAll(async () => {
  stage = await loopStage();
});
afterAll(() => stage.close());

const trouble = (
  kind: ModelErrorKind,
  options: { retryable?: boolean; retryAfterMs?: number; usage?: ModelError["usage"] } = {},
): ModelError => new ModelError(kind, `${kind} happened`, { retryable: true, ...options });

const pauseMs = async (threadId: string): Promise<number> => {
  const [timer] = (await stage.state(threadId)).timers;
  return Date.parse(timer?.dueAt ?? "") - Date.now();
};

describe("trouble with the model", () => {
  it.each<[ModelErrorKind, boolean]>([
    ["timeout", true],
    ["rate_limited", true],
    ["server_error", true],
    ["broken_stream", true],
    ["unreachable", true],
    ["invalid_output", false],
    ["length", false],
  ])("of the kind %s is tried again after a pause", async (kind, retryable) => {
    const { threadId } = await stage.say("go");
    await stage.run(threadId, { primary: says(trouble(kind, { retryable })) });

    expect((await stage.types(threadId)).slice(2)).toEqual(["run_started", "model_failed", "timer_set"]);
    expect(await stage.said(threadId)).toEqual([]);
    expect(threadStatus(await stage.state(threadId))).toBe("waiting");
    const [row] = await stage.sql("select outcome, step_id from model_calls where thread_id = $1", [
      threadId,
    ]);
    expect(row).toEqual({ outcome: kind, step_id: null });

    await stage.fireTimers(threadId);
    await stage.run(threadId, { primary: says(reply("here")) });
    expect(await stage.said(threadId)).toMatchObject([{ text: "here", answers: [2] }]);
    expect((await stage.state(threadId)).modelFailures).toBe(0);
  });

  it.each<ModelErrorKind>(["refusal", "content_filter", "unauthorized", "bad_request", "context_length"])(
    "of the kind %s is final: the people are told, and it shows as a hand-over",
    async (kind) => {
      const { threadId } = await stage.say("go");
      const primary = scriptedModel(() => {
        throw trouble(kind, { retryable: false });
      });
      await stage.run(threadId, { primary });
      expect(await stage.said(threadId)).toMatchObject([{ text: /I cannot go on without it/, answers: [2] }]);
      expect((await stage.types(threadId)).slice(-4)).toEqual([
        "model_failed",
        "reply_committed",
        "handed_off",
        "run_ended",
      ]);
      expect(threadStatus(await stage.state(threadId))).toBe("done");
    },
  );

  it("is tried again after longer and longer pauses, five times, then answered", async () => {
    const { threadId } = await stage.say("go");
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 4; attempt++) {
      await stage.run(threadId, { primary: says(trouble("server_error")) });
      pauses.push(await pauseMs(threadId));
      await stage.fireTimers(threadId);
    }
    for (const [index, leastMs] of [2_000, 8_000, 32_000, 128_000].entries()) {
      expect(pauses[index]).toBeGreaterThan(leastMs * 0.9);
      expect(pauses[index]).toBeLessThan(leastMs * 1.3);
    }
    await stage.run(threadId, { primary: says(trouble("server_error")) });
    expect(await stage.said(threadId)).toMatchObject([{ text: /had an error/, answers: [2] }]);

    await stage.say("again", { threadId });
    await stage.run(threadId, { primary: says(reply("here")) });
    expect((await stage.said(threadId)).at(-1)).toMatchObject({ text: "here" });
  });

  it("pauses as long as the provider asks", async () => {
    const { threadId } = await stage.say("go");
    await stage.run(threadId, { primary: says(trouble("rate_limited", { retryAfterMs: 90_000 })) });
    expect(await pauseMs(threadId)).toBeGreaterThan(85_000);
    expect(stage.doorbell.timers.at(-1)?.delayMs).toBeGreaterThan(85_000);
  });

  it("does not keep a message from being heard that came while it gave up", async () => {
    const { threadId } = await stage.say("go");
    const primary = says(async () => {
      await stage.say("or do this instead", { threadId });
      throw trouble("refusal", { retryable: false });
    });
    await stage.run(threadId, { primary });
    expect(await stage.said(threadId)).toEqual([]);

    await stage.fireTimers(threadId);
    await stage.run(threadId, { primary: says(reply("that I can do")) });
    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "that I can do", answers: [2, 3] }]);
  });

  it("has the backup asked, and both calls are recorded", async () => {
    const { threadId } = await stage.say("go");
    const usage = { inputTokens: 100, outputTokens: 1, costUsd: 0.5 };
    await stage.run(threadId, {
      primary: says(trouble("server_error", { usage })),
      backup: scriptedModel(() => reply("from the backup"), { name: "spare" }),
    });
    const rows = await stage.sql(
      "select model, stage, outcome, cost_usd from model_calls where thread_id = $1 order by stage desc",
      [threadId],
    );
    expect(rows).toEqual([
      { model: "scripted", stage: "primary", outcome: "server_error", cost_usd: 0.5 },
      { model: "spare", stage: "backup", outcome: "ok", cost_usd: 0 },
    ]);
    expect(await stage.said(threadId)).toMatchObject([{ text: "from the backup" }]);
  });

  it("for too long a context is met with a shorter one", async () => {
    const { threadId } = await stage.say(`${"word ".repeat(9_000)}end`);
    const model = says(trouble("context_length", { retryable: false }), reply("short enough"));
    await stage.run(threadId, { primary: model });
    const [first, second] = model.requests.map(({ messages }) => messages[1]?.content.length ?? 0);
    expect(second).toBeLessThan((first ?? 0) / 1.5);
    expect((await stage.events(threadId)).find(({ type }) => type === "step_decided")?.data).toMatchObject({
      usage: { stage: "compacted" },
    });
  });
});

describe("a budget", () => {
  /** Each call takes 100 tokens and $0.10. */
  const spending = (count: number, then = reply("done")) => {
    const lines = [...Array.from({ length: count }, () => use("look", { id: "a" })), then];
    return scriptedModel((_, index) => lines[index], { inputTokens: 60, outputTokens: 40, costUsd: 0.1 });
  };
  const question = async (threadId: string) => (await stage.said(threadId)).at(-1);

  it.each<[string, Budgets, string]>([
    ["of tokens for a run", { run: { tokens: 200 } }, "200 tokens"],
    ["of money for a run", { run: { usd: 0.2 } }, "$0.20"],
    ["of tokens for a thread", { thread: { tokens: 200 } }, "200 tokens"],
    ["of money for a thread", { thread: { usd: 0.2 } }, "$0.20"],
  ])("%s stops before spending more, and a person can extend it", async (_, budgets, grant) => {
    const { threadId } = await stage.say("go");
    await stage.run(threadId, { primary: spending(9), budgets });
    expect((await stage.state(threadId)).spend.tokens).toBe(200);
    expect(await question(threadId)).toMatchObject({
      kind: "question",
      text: expect.stringContaining(grant),
    });
    expect(threadStatus(await stage.state(threadId))).toBe("waiting");
    await stage.run(threadId, { primary: says(), budgets });

    await stage.say("extend", { threadId });
    await stage.run(threadId, { primary: spending(1), budgets });
    expect(await question(threadId)).toMatchObject({ kind: "reply", text: "done" });
  });

  it("can be extended several times over at once, and anything else is no extension", async () => {
    const budgets = { thread: { tokens: 200 } };
    const { threadId } = await stage.say("go");
    await stage.run(threadId, { primary: spending(9), budgets });
    await stage.say("please go on", { threadId });
    await stage.run(threadId, { primary: says(), budgets });
    expect(await question(threadId)).toMatchObject({ kind: "question" });

    await stage.say("extend 3", { threadId });
    await stage.run(threadId, { primary: spending(5), budgets });
    expect((await stage.state(threadId)).extension).toEqual({ tokens: 600, usd: 0 });
    expect(await question(threadId)).toMatchObject({ kind: "reply", text: "done" });
  });

  it("of the agent's own counts where it is tighter", async () => {
    const agents = new Map<string, Agent>([
      ["tester", testAgent(stage.folder, { limits: { run: { tokens: 100 } } })],
    ]);
    const { threadId } = await stage.say("go");
    await stage.run(threadId, { primary: spending(9), agents, budgets: { run: { tokens: 900 } } });
    expect((await stage.state(threadId)).spend.tokens).toBe(100);
  });

  it("of a day or a person holds across threads, rests, and can be extended", async () => {
    const alone = await loopStage();
    try {
      for (const [name, budgets] of [
        ["Day", { day: { tokens: 100 } }],
        ["Cay", { personPerDay: { tokens: 100 } }],
      ] as const) {
        await alone.sql("delete from model_calls");
        const first = await alone.say("one", { from: name });
        await alone.run(first.threadId, { primary: spending(0), budgets });
        expect(await alone.said(first.threadId)).toMatchObject([{ text: "done" }]);

        const second = await alone.say("two", { from: name });
        await alone.run(second.threadId, { primary: says(), budgets });
        expect(await alone.said(second.threadId)).toMatchObject([{ kind: "question", text: /budget/ }]);
        const [row] = await alone.sql("select lease_owner, runnable_since from threads where id = $1", [
          second.threadId,
        ]);
        expect(row).toEqual({ lease_owner: null, runnable_since: null });
        await alone.run(second.threadId, { primary: says(), budgets });

        await alone.say("extend", { threadId: second.threadId, from: name });
        await alone.run(second.threadId, { primary: spending(0), budgets });
        expect((await alone.said(second.threadId)).at(-1)).toMatchObject({ kind: "reply", text: "done" });
      }
      const other = await alone.say("three", { from: person("Else").name });
      await alone.run(other.threadId, { primary: spending(0), budgets: { personPerDay: { tokens: 100 } } });
      expect(await alone.said(other.threadId)).toMatchObject([{ text: "done" }]);
    } finally {
      await alone.close();
    }
  });

  it("of a day rests even while a call of unknown outcome is asked about", async () => {
    const { threadId } = await stage.say("go");
    const agents = new Map([["tester", testAgent(stage.folder, { toolTimeoutMs: 50 })]]);
    await stage.run(threadId, { primary: says(use("launch", { id: "a", does: "hang" })), agents });
    await stage.say("what is going on?", { threadId });
    await stage.run(threadId, { primary: says(), budgets: { day: { tokens: 1 } } });
    const [row] = await stage.sql("select lease_owner from threads where id = $1", [threadId]);
    expect(row).toEqual({ lease_owner: null });
  });
});

describe("a long thread", () => {
  it("is compacted on purpose, and what nobody answered stays whole", async () => {
    const agents = new Map([["tester", testAgent(stage.folder, { limits: { contextTokens: 2_000 } })]]);
    const { threadId } = await stage.say("the beginning");
    const model = scriptedModel(() => reply("a".repeat(600)));
    for (let index = 0; index < 12; index++) {
      await stage.run(threadId, { primary: model, agents });
      await stage.say(`message ${index} ${"b".repeat(200)}`, { threadId });
    }
    await stage.run(threadId, { primary: model, agents });
    expect(await stage.types(threadId)).toContain("context_compacted");
    const last = model.requests.at(-1)?.messages[1]?.content ?? "";
    expect(last).toContain(`message 11 ${"b".repeat(200)}`);
    expect(last).toContain("the beginning");
  });
});
