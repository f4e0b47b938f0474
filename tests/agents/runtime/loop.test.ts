import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ModelRequest, ThreadLog } from "../../../core/ports.ts";
import { threadStatus } from "../../../core/thread.ts";
import { type LoopStage, loopStage, reply, says, stepOf, until, use } from "../../support/loop.ts";

let stage: LoopStage;
beforeAll(async () => {
  stage = await loopStage();
});
afterAll(() => stage.close());

/** Starts a thread with a message and works on it until it rests. */
async function conversation(text: string, model: ReturnType<typeof says>) {
  const { threadId } = await stage.say(text);
  await stage.run(threadId, { primary: model });
  return threadId;
}

const prompt = (request: ModelRequest | undefined): string => request?.messages[1]?.content ?? "";

describe("a message", () => {
  it("is answered by one reply in one run", async () => {
    const threadId = await conversation("hello", says(reply("hi")));

    expect(await stage.types(threadId)).toEqual([
      "thread_started",
      "message_received",
      "run_started",
      "step_decided",
      "reply_committed",
      "run_ended",
    ]);
    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "hi", answers: [2] }]);
    expect(stage.doorbell.deliveries).toContainEqual({ threadId, delayMs: 0 });
    expect(stage.live.signals).toContainEqual({ threadId, kind: "partial", text: "hi" });
  });

  it("costs one statement to accept, one to lease and one to decide, answer and release", async () => {
    stage.statements.length = 0;
    const threadId = await conversation("hello", says(reply("hi")));

    expect(stage.statements).toEqual(["accept_by_binding", "lease", "commit"]);
    const [row] = await stage.sql("select lease_owner, runnable_since from threads where id = $1", [
      threadId,
    ]);
    expect(row).toEqual({ lease_owner: null, runnable_since: null });
  });

  it("records what the step cost, by which prompt, for which message", async () => {
    const threadId = await conversation("hello", says(reply("hi")));

    const [call] = await stage.sql(
      `select model, stage, prompt_version, length(prompt_hash) as hash, input_tokens, output_tokens, outcome,
              person, step_id is not null as stepped from model_calls where thread_id = $1`,
      [threadId],
    );
    expect(call).toEqual({
      model: "scripted",
      stage: "primary",
      prompt_version: "v1",
      hash: 64,
      input_tokens: 10,
      output_tokens: 5,
      outcome: "ok",
      person: "ann",
      stepped: true,
    });
    expect((await stage.state(threadId)).spend).toEqual({ tokens: 15, usd: 0 });
  });

  it("that nobody has to answer twice: a second run of a thread at rest asks no model", async () => {
    const threadId = await conversation("hello", says(reply("hi")));
    await stage.run(threadId, { primary: says() });
    expect(await stage.said(threadId)).toHaveLength(1);
  });

  it("shares its answer with another that came before the model was asked", async () => {
    const { threadId } = await stage.say("one");
    await stage.say("two", { threadId });
    await stage.run(threadId, { primary: says(reply("both")) });
    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "both", answers: [2, 3] }]);
  });

  it("gets an answer even when the model finishes without a word", async () => {
    const threadId = await conversation("hello", says(stepOf("finish", { text: null })));
    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "Done.", answers: [2] }]);
  });
});

describe("tool calls", () => {
  it("run one after the other, and each next step sees what came of the last", async () => {
    const model = says(use("look", { id: "a" }), use("set", { id: "b" }), reply("done"));
    const threadId = await conversation("go", model);

    expect((await stage.ledger("end")).filter((line) => line.threadId === threadId)).toMatchObject([
      { tool: "look", attempt: 1, requester: "ann" },
      { tool: "set", attempt: 1 },
    ]);
    expect(prompt(model.requests[1])).toContain('<tool_result tool="look"');
    expect(prompt(model.requests[2])).toContain('{"done":"b"}');
    expect(await stage.said(threadId)).toMatchObject([{ text: "done", answers: [2] }]);
  });

  it("that only read run side by side when they are gathered", async () => {
    const calls = ["a", "b", "c"].map((id) => ({
      tool: "look",
      args: { id, does: "slow", delayMs: 150 },
    }));
    const threadId = await conversation("go", says(stepOf("gather", { calls }), reply("done")));

    const lines = (await stage.ledger()).filter((line) => line.threadId === threadId);
    const begun = lines.filter(({ phase }) => phase === "begin").map(({ atMs }) => atMs);
    const ended = lines.filter(({ phase }) => phase === "end").map(({ atMs }) => atMs);
    expect(begun).toHaveLength(3);
    expect(Math.max(...begun)).toBeLessThan(Math.min(...ended));
  });

  it("with a result too long for the log keep its beginning and say how much is missing", async () => {
    const threadId = await conversation("go", says(use("look", { id: "a", does: "huge" }), reply("done")));
    const finished = (await stage.events(threadId)).find(({ type }) => type === "tool_finished");
    const { result } = finished!.data as { result: string };
    expect(result).toMatch(/^"xxx.*\[… 136002 characters left out …\]$/);
  });

  it("that fail show one line to the next step, and leave the context once the tool succeeds", async () => {
    const model = says(use("look", { id: "a", does: "fail" }), use("look", { id: "b" }), reply("done"));
    const threadId = await conversation("go", model);

    expect(prompt(model.requests[1])).toContain("a is broken at some.stack (line 1)</tool_error>");
    expect(prompt(model.requests[2])).not.toContain("tool_error");
    expect((await stage.state(threadId)).errorsInRow).toBe(0);
  });

  it("that fail three times in a row go to a person, whose next message goes on", async () => {
    const broken = use("look", { id: "a", does: "fail" });
    const threadId = await conversation("go", says(broken, broken, broken));
    expect(await stage.said(threadId)).toMatchObject([{ kind: "question", text: /3 things in a row/ }]);
    expect(threadStatus(await stage.state(threadId))).toBe("waiting");

    await stage.say("try the other one", { threadId });
    await stage.run(threadId, { primary: says(use("look", { id: "b" }), reply("done")) });
    expect((await stage.said(threadId)).at(-1)).toEqual({ kind: "reply", text: "done", answers: [2, 14] });
  });
});

describe("an answer that cannot be used", () => {
  it.each([
    ["an unknown intent", stepOf("fly", { to: "the moon" }), 'there is no intent "fly"'],
    ["wrong arguments", stepOf("look", { args: { id: 7 } }), "wrong arguments for look"],
    ["no object at all", "just text" as never, "not an object"],
  ])("with %s is recorded, shown to the next step and answered", async (_, wrong, problem) => {
    const model = says(wrong, reply("sorry"));
    const threadId = await conversation("go", model);

    const decided = (await stage.events(threadId)).find(({ type }) => type === "step_decided");
    expect(decided?.data).toMatchObject({ decision: { type: "invalid" } });
    expect(prompt(model.requests[1])).toContain(`<your_last_answer_was_unusable>`);
    expect(prompt(model.requests[1]).replaceAll("&quot;", '"')).toContain(problem);
    expect(await stage.said(threadId)).toMatchObject([{ text: "sorry" }]);
  });
});

describe("a new message", () => {
  it("during the model call does not stop the reply, and is answered by the next one", async () => {
    const { threadId } = await stage.say("one");
    const model = says(async () => {
      await stage.say("two", { threadId });
      return reply("first");
    }, reply("second"));
    await stage.run(threadId, { primary: model });

    expect(await stage.said(threadId)).toEqual([
      { kind: "reply", text: "first", answers: [2] },
      { kind: "reply", text: "second", answers: [3] },
    ]);
  });

  it("between choosing an effect and beginning it makes the model decide again", async () => {
    const { threadId } = await stage.say("launch it");
    const model = says(async () => {
      await stage.say("stop, do not!", { threadId });
      return use("launch", { id: "rocket" });
    }, reply("stopped"));
    await stage.run(threadId, { primary: model });

    expect((await stage.ledger()).filter((line) => line.threadId === threadId)).toEqual([]);
    expect(prompt(model.requests[1])).toContain("stop, do not!");
    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "stopped", answers: [2, 3] }]);
  });

  it("after the choice is written and before the effect begins makes the model decide again", async () => {
    const { threadId } = await stage.say("launch it");
    const log: ThreadLog = {
      ...stage.log,
      async commit(lease, state, commit) {
        const result = await stage.log.commit(lease, state, commit);
        if (commit.events.some(({ type }) => type === "step_decided") && !interrupted) {
          interrupted = true;
          await stage.say("stop, do not!", { threadId });
        }
        return result;
      },
    };
    let interrupted = false;
    const model = says(use("launch", { id: "rocket" }), reply("stopped"));
    await stage.run(threadId, { primary: model, log });

    expect((await stage.ledger()).filter((line) => line.threadId === threadId)).toEqual([]);
    expect(prompt(model.requests[1])).toContain("stop, do not!");
    expect(await stage.types(threadId)).not.toContain("tool_started");
  });

  it("keeps a question from being asked that it may have answered", async () => {
    const { threadId } = await stage.say("deploy it");
    const question = stepOf("ask_human", { question: "Which?", format: "free_text", urgency: "low" });
    const model = says(async () => {
      await stage.say("the backend", { threadId });
      return question;
    }, reply("ok"));
    await stage.run(threadId, { primary: model });

    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "ok", answers: [2, 3] }]);
    expect((await stage.state(threadId)).question).toBeNull();
  });
});

describe("waiting", () => {
  it("for a time sets a timer, holds nothing, and goes on when it fires", async () => {
    const wait = stepOf("wait", { minutes: 5, reason: "for the build" });
    const threadId = await conversation("go", says(wait));
    expect(threadStatus(await stage.state(threadId))).toBe("waiting");
    expect(stage.doorbell.timers.at(-1)?.delayMs).toBeGreaterThan(290_000);

    const model = says(reply("done"));
    expect(await stage.fireTimers(threadId)).toBe(1);
    await stage.run(threadId, { primary: model });
    expect(prompt(model.requests[0])).toContain("<note>The wait is over.</note>");
    expect(await stage.said(threadId)).toMatchObject([{ text: "done", answers: [2] }]);
  });

  it("for a person asks with a format, and the answer goes on with the same run", async () => {
    const ask = { question: "Which one?", format: "choices", choices: ["a", "b"], urgency: "high" };
    const threadId = await conversation("go", says(stepOf("ask_human", ask)));
    expect((await stage.state(threadId)).question).toMatchObject({
      purpose: "agent",
      format: { kind: "choices", choices: ["a", "b"] },
      urgency: "high",
    });

    await stage.say("b", { threadId });
    await stage.run(threadId, { primary: says(reply("b it is")) });
    expect(await stage.said(threadId)).toMatchObject([
      { kind: "question", text: "Which one?" },
      { kind: "reply", text: "b it is", answers: [2, 6] },
    ]);
    expect((await stage.types(threadId)).filter((type) => type === "run_started")).toHaveLength(1);
  });
});

describe("handing over", () => {
  it("to another agent lets that one answer", async () => {
    const handoff = stepOf("handoff", { to: "other", reason: "not mine", text: "" });
    const model = says(handoff, reply("I am the other"));
    const threadId = await conversation("go", model);

    expect(model.requests.map(({ agent }) => agent)).toEqual(["tester", "other"]);
    expect(await stage.said(threadId)).toMatchObject([{ text: "I am the other", answers: [2] }]);
    const [row] = await stage.sql("select agent from threads where id = $1", [threadId]);
    expect(row).toEqual({ agent: "other" });
  });

  it("to a person tells the people in the thread", async () => {
    const threadId = await conversation(
      "go",
      says(stepOf("handoff", { to: "person", reason: "unsure", text: "" })),
    );
    expect(await stage.said(threadId)).toMatchObject([
      { text: "I am handing this over to a person.", answers: [2] },
    ]);
    expect(threadStatus(await stage.state(threadId))).toBe("done");
  });

  it("back and forth ends after three times", async () => {
    const to = (name: string) => stepOf("handoff", { to: name, reason: "not mine", text: "" });
    const model = says(to("other"), to("tester"), to("other"), to("tester"), reply("all right"));
    const threadId = await conversation("go", model);
    expect(prompt(model.requests[4])).toContain("cannot be handed over again");
    expect(await stage.said(threadId)).toMatchObject([{ text: "all right" }]);
  });
});

describe("a pause", () => {
  it("keeps what was chosen from beginning, and resuming goes on without asking the model again", async () => {
    const { threadId } = await stage.say("go");
    const model = says(async () => {
      await stage.pause(threadId);
      return use("launch", { id: "rocket" });
    }, reply("done"));
    await stage.run(threadId, { primary: model });
    expect(threadStatus(await stage.state(threadId))).toBe("paused");
    expect((await stage.ledger()).filter((line) => line.threadId === threadId)).toEqual([]);

    await stage.say("are you there?", { threadId });
    await stage.run(threadId, { primary: says() });
    expect(await stage.said(threadId)).toEqual([]);

    await stage.resume(threadId);
    await stage.run(threadId, { primary: says(reply("back")) });
    expect(await stage.said(threadId)).toMatchObject([{ text: "back" }]);
  });

  it("with nothing new said begins after the resumption what was chosen before it", async () => {
    const { threadId } = await stage.say("go");
    const model = says(async () => {
      await stage.pause(threadId);
      return use("launch", { id: "rocket" });
    }, reply("done"));
    await stage.run(threadId, { primary: model });
    await stage.resume(threadId);
    await stage.run(threadId, { primary: says(reply("done")) });

    expect((await stage.ledger("end")).filter((line) => line.threadId === threadId)).toHaveLength(1);
    expect(model.requests).toHaveLength(1);
  });
});

describe("replaying", () => {
  it("recorded model outputs, with the same ids and clock, writes the same events", async () => {
    const told = async () => {
      let next = 0;
      const ids = {
        next: () => `018f0000-0000-7000-8000-${String(++next).padStart(12, "0")}`,
        randomBytes: (count: number) => new Uint8Array(count).fill(7),
      };
      const clock = { now: () => new Date("2026-01-01T00:00:00Z") };
      const { threadId } = await stage.say("go");
      const model = says(
        use("look", { id: "a" }),
        stepOf("fly"),
        stepOf("wait", { minutes: 1, reason: "so" }),
      );
      await stage.run(threadId, { primary: model, ids, clock });
      const events = (await stage.events(threadId)).slice(2);
      // The ids are used a second time: what they name must make room.
      await stage.sql("delete from model_calls where thread_id = $1", [threadId]);
      await stage.sql("delete from timers where thread_id = $1", [threadId]);
      const { correlationId } = events[0]!.data as { correlationId: string };
      const text = JSON.stringify(events.map(({ type, data, actor, v }) => ({ type, data, actor, v })));
      return text
        .replaceAll(correlationId, "correlation")
        .replace(/"(durationMs|latencyMs)":[\d.]+/g, '"$1":0');
    };
    expect(await told()).toBe(await told());
  });
});

describe("fetching ahead", () => {
  it("happens side by side before the first thought, and what fails is a note", async () => {
    const fetch = (name: string, result: () => unknown) => ({
      name,
      fetch: async () => {
        begun.push(name);
        await until(() => begun.length === 2);
        return result() as never;
      },
    });
    const begun: string[] = [];
    const tester = stage.parts.agents.get("tester")!;
    const agent = {
      ...tester,
      prefetch: [
        fetch("tags", () => ["v1"]),
        fetch("state", () => {
          throw new Error("no route");
        }),
      ],
    };
    const model = says(reply("hi"));
    const { threadId } = await stage.say("hello");
    await stage.run(threadId, { primary: model, agents: new Map([["tester", agent]]) });

    expect(prompt(model.requests[0])).toContain('<fetched name="tags">["v1"]</fetched>');
    expect(prompt(model.requests[0])).toContain("<note>Could not fetch state: no route</note>");
    expect((await stage.types(threadId)).filter((type) => type === "prefetched")).toHaveLength(2);
  });
});
