import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { webChannel } from "../../channels/web/index.ts";
import { ids } from "../../gateway/ids.ts";
import { startWorker, type Worker } from "../../gateway/worker.ts";
import { openQueue, type Queue } from "../../queue/queue.ts";
import { type LoopStage, loopStage, reply, stepOf, until, use } from "../support/loop.ts";
import { scriptedModel } from "../support/scripted-model.ts";

let stage: LoopStage;
let queue: Queue;
let worker: Worker;

/** Does what the newest message says. */
const obedient = scriptedModel(({ context }) => {
  const { message, since } = context as { message: string; since: unknown[] };
  if (since.length > 0) return reply("done");
  if (message === "wait") return stepOf("wait", { minutes: 1, reason: "so" });
  if (message === "launch") return use("launch", { id: "a", policy: "ask" });
  if (message === "hang") return use("look", { id: "a", does: "hang" });
  return reply(`you said ${message}`);
});

const start = (changed: Partial<typeof stage.parts> = {}): Worker =>
  startWorker({
    loop: { ...stage.parts, doorbell: queue.doorbell, ...changed },
    delivery: {
      outbox: stage.outbox,
      channels: new Map([["web", webChannel]]),
      doorbell: queue.doorbell,
      ids,
      logger: stage.parts.logger,
      maxAttempts: 5,
      firstRetryMs: 100,
      longestRetryMs: 1_000,
      sendTimeoutMs: 1_000,
      observe: () => {},
    },
    queue,
    sweep: stage.sweep,
    concurrency: 4,
  });

beforeAll(async () => {
  stage = await loopStage({ model: obedient });
  queue = await openQueue({ kind: "postgres", url: stage.url }, { log: stage.parts.logger });
  worker = start();
});
afterAll(async () => {
  await worker.stop(1_000);
  await queue.close();
  await stage.close();
});

const sent = async (threadId: string): Promise<string[]> =>
  (
    await stage.sql(
      "select content ->> 'text' as text from outbox where thread_id = $1 and status = 'sent' order by position",
      [threadId],
    )
  ).map(({ text }) => String(text));

describe("a worker", () => {
  it("answers and delivers when it is rung for", async () => {
    const { threadId } = await stage.say("hello");
    await queue.doorbell.ringThread(threadId);
    await until(async () => (await sent(threadId)).length === 1, 5_000);
    expect(await sent(threadId)).toEqual(["you said hello"]);
  });

  it("finds within seconds what nobody rang for", async () => {
    const { threadId } = await stage.say("hello");
    await until(async () => (await sent(threadId)).length === 1, 8_000);
    expect(await sent(threadId)).toEqual(["you said hello"]);
  });

  it("fires timers that are due, without a bell", async () => {
    const { threadId } = await stage.say("wait");
    await queue.doorbell.ringThread(threadId);
    await until(async () => (await stage.state(threadId)).timers.length === 1, 5_000);
    await stage.sql("update timers set due_at = now() where thread_id = $1", [threadId]);
    await until(async () => (await stage.types(threadId)).includes("timer_fired"), 8_000);
  });

  it("holds nothing for a pending approval, and goes on once it is given", async () => {
    const { threadId } = await stage.say("launch");
    await queue.doorbell.ringThread(threadId);
    await until(async () => (await sent(threadId)).length === 1, 5_000);
    const [row] = await stage.sql("select lease_owner, runnable_since from threads where id = $1", [
      threadId,
    ]);
    expect(row).toEqual({ lease_owner: null, runnable_since: null });
    await until(async () => (await queue.depth()).active === 0, 5_000);

    const { approvalId } = await stage.pendingApproval(threadId);
    await stage.decide(approvalId, "approve");
    await until(async () => (await sent(threadId)).at(-1) === "done", 8_000);
    expect(await stage.ledger("end")).toMatchObject([{ tool: "launch", threadId, attempt: 1 }]);
  });

  it("that stops gives back within its grace what it cannot finish, and another finishes it", async () => {
    const { threadId } = await stage.say("hang");
    await queue.doorbell.ringThread(threadId);
    await until(async () => (await stage.ledger("begin")).some((line) => line.threadId === threadId), 8_000);
    const startedAt = performance.now();
    await worker.stop(300);
    expect(performance.now() - startedAt).toBeLessThan(3_500);
    const [row] = await stage.sql(
      "select lease_owner, runnable_since is not null as runnable from threads where id = $1",
      [threadId],
    );
    expect(row).toEqual({ lease_owner: null, runnable: true });

    const { agents } = stage.parts;
    const tester = agents.get("tester")!;
    const tools = tester.tools.map((tool) => ({ ...tool, run: async () => ({ healed: true }) }));
    worker = start({ owner: "worker-2", agents: new Map([...agents, ["tester", { ...tester, tools }]]) });
    await until(async () => (await sent(threadId)).length === 1, 8_000);
    expect(await sent(threadId)).toEqual(["done"]);
  });
});
