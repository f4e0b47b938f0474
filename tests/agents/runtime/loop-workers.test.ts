import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoopStage, loopStage, reply, says, until, use } from "../../support/loop.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

let stage: LoopStage;
beforeAll(async () => {
  stage = await loopStage();
});
afterAll(() => stage.close());

const ledgerFor = async (threadId: string) =>
  (await stage.ledger()).filter((line) => line.threadId === threadId);

describe("a worker whose lease was taken", () => {
  const steal = (threadId: string) =>
    stage.sql("update threads set lease_until = now() - interval '1 second' where id = $1", [threadId]);

  it("while it thought writes nothing: the other worker's story stands", async () => {
    const { threadId } = await stage.say("go");
    const model = says(async () => {
      await steal(threadId);
      await stage.run(threadId, { primary: says(reply("theirs")), owner: "worker-2" });
      return reply("mine");
    });
    await stage.run(threadId, { primary: model });
    expect(await stage.said(threadId)).toMatchObject([{ text: "theirs" }]);
    expect(stage.logged.at(-1)?.event).toBe("lease_lost");
  });

  it("while its tool ran discards the outcome", async () => {
    const { threadId } = await stage.say("go");
    const agents = new Map(stage.parts.agents);
    const tester = agents.get("tester")!;
    const look = tester.tools.find(({ name }) => name === "look")!;
    const stealing = {
      ...look,
      run: async () => {
        await steal(threadId);
        await stage.run(threadId, { primary: says(reply("theirs")), owner: "worker-2" });
        return "mine";
      },
    };
    agents.set("tester", { ...tester, tools: [stealing] });
    await stage.run(threadId, { primary: says(use("look", { id: "a" })), agents });

    const finished = (await stage.events(threadId)).filter(({ type }) => type === "tool_finished");
    expect(finished.map(({ data }) => (data as { result: unknown }).result)).toEqual([{ done: "a" }]);
    expect(await stage.said(threadId)).toMatchObject([{ text: "theirs" }]);
  });

  it("hears of it by its heartbeat and cuts off what is under way", async () => {
    const { threadId } = await stage.say("go");
    let asked = false;
    const hanging = scriptedModel(() => {
      asked = true;
      return new Promise(() => undefined);
    });
    const running = stage.run(threadId, { primary: hanging, leaseTtlMs: 300 });
    await until(() => asked);
    await stage.sql("update threads set lease_owner = 'thief', lease_fence = lease_fence + 1 where id = $1", [
      threadId,
    ]);
    await running;
    expect(await stage.types(threadId)).toEqual(["thread_started", "message_received"]);
  });
});

describe("ten workers on twenty threads", () => {
  it("take each thread one run at a time, in order, and answer each message exactly once", async () => {
    const threads = 20;
    const messages = 4;
    const owners = Array.from({ length: 10 }, (_, index) => `worker-${index}`);
    const model = () =>
      scriptedModel(({ messages: [, user] }) => {
        const results = user?.content.match(/<tool_result/g)?.length ?? 0;
        const heard = user?.content.match(/<message /g)?.length ?? 0;
        return results < heard ? use("set", { id: `${results}`, does: "slow", delayMs: 3 }) : reply("ok");
      });
    const founded = await Promise.all(
      Array.from({ length: threads }, (_, index) => stage.say(`start ${index}`)),
    );
    const ids = founded.map(({ threadId }) => threadId);
    let open = true;
    const working = owners.map(async (owner) => {
      const primary = model();
      while (open) {
        const lost = await stage.sweep.lostThreads(0, 50);
        for (const threadId of lost.sort(() => Math.random() - 0.5))
          await stage.run(threadId, { owner, primary });
        await sleep(5);
      }
    });
    for (let index = 1; index < messages; index++) {
      await Promise.all(ids.map((threadId) => stage.say(`more ${index}`, { threadId })));
    }
    await until(
      async () => (await stage.sweep.lostThreads(0, 1)).length === 0 && (await allRest(ids)),
      25_000,
    );
    open = false;
    await Promise.all(working);

    for (const threadId of ids) {
      const lines = await ledgerFor(threadId);
      const phases = lines.map(({ phase }) => phase);
      expect(phases).toEqual(phases.map((_, index) => (index % 2 === 0 ? "begin" : "end")));
      const answered = (await stage.said(threadId)).flatMap(({ answers }) => answers);
      const received = (await stage.events(threadId))
        .filter(({ type }) => type === "message_received")
        .map(({ seq }) => seq);
      expect(answered).toEqual(received);
      const seqs = (await stage.events(threadId)).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    }
  });

  const allRest = async (ids: readonly string[]) =>
    Number(
      (
        await stage.sql(
          "select count(*) as n from threads where id = any($1) and (runnable_since is not null or lease_owner is not null)",
          [ids],
        )
      )[0]?.n,
    ) === 0;
});
