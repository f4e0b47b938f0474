import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { threadStatus } from "../../../core/thread.ts";
import { editedDigest } from "../../../store/approvals.ts";
import { type LoopStage, loopStage, reply, says, stepOf, type ToolArgs, use } from "../../support/loop.ts";

let stage: LoopStage;
beforeAll(async () => {
  stage = await loopStage({
    policies: {
      ask: {},
      strict: { notRequester: true },
      short: { expiresAfterMs: 3_600_000, atExpiry: "deny" },
    },
  });
});
afterAll(() => stage.close());

const launch = (args: Partial<ToolArgs> = {}) => use("launch", { id: "rocket", policy: "ask", ...args });
const ledgerFor = async (threadId: string) =>
  (await stage.ledger("end")).filter((line) => line.threadId === threadId);

async function proposed(step = launch()) {
  const { threadId } = await stage.say("launch it");
  await stage.run(threadId, { primary: says(step) });
  return { threadId, approval: await stage.pendingApproval(threadId) };
}

describe("a call that needs an approval", () => {
  it("is asked for, runs nothing, and holds neither lease nor work", async () => {
    const { threadId, approval } = await proposed();

    expect(await ledgerFor(threadId)).toEqual([]);
    expect(approval).toMatchObject({ tool: "launch", summary: "launch rocket", requesters: ["ann"] });
    expect(await stage.said(threadId)).toMatchObject([{ kind: "approval", text: "launch", answers: [] }]);
    const [row] = await stage.sql("select lease_owner, runnable_since, status from threads where id = $1", [
      threadId,
    ]);
    expect(row).toEqual({ lease_owner: null, runnable_since: null, status: "waiting" });
  });

  it("runs exactly the stored arguments once it is approved, without asking the model about it", async () => {
    const { threadId, approval } = await proposed(launch({ delayMs: 1.5 }));
    await stage.decide(approval.approvalId, "approve");
    const model = says(reply("launched"));
    await stage.run(threadId, { primary: model });
    await stage.run(threadId, { primary: says() });

    expect(await ledgerFor(threadId)).toMatchObject([{ tool: "launch", args: approval.args, attempt: 1 }]);
    expect(await stage.approvals.get(approval.approvalId)).toMatchObject({ status: "used" });
    expect(model.requests).toHaveLength(1);
  });

  it("runs what was approved even if the model would now say something else", async () => {
    const { threadId, approval } = await proposed();
    await stage.say("make it a balloon", { threadId });
    await stage.decide(approval.approvalId, "approve");
    await stage.run(threadId, { primary: says(reply("launched the rocket")) });
    expect(await ledgerFor(threadId)).toMatchObject([{ args: { id: "rocket" } }]);
  });

  it("runs edited arguments when they were edited", async () => {
    const { threadId, approval } = await proposed();
    await stage.decide(approval.approvalId, "edit", { args: { id: "balloon", policy: "ask" } });
    await stage.run(threadId, { primary: says(reply("launched")) });
    expect(await ledgerFor(threadId)).toMatchObject([{ args: { id: "balloon" } }]);
  });

  it("does not run when it is rejected, and the model sees the reason", async () => {
    const { threadId, approval } = await proposed();
    await stage.decide(approval.approvalId, "reject", { reason: "too windy" });
    const model = says(reply("another day"));
    await stage.run(threadId, { primary: model });

    expect(await ledgerFor(threadId)).toEqual([]);
    expect(model.requests[0]?.messages[1]?.content).toMatch(/outcome="rejected" by="Boss".*too windy/);
    expect(await stage.said(threadId)).toContainEqual({ kind: "reply", text: "another day", answers: [2] });
  });

  it("stays open when something is asked back, and the model answers", async () => {
    const { threadId, approval } = await proposed();
    await stage.decide(approval.approvalId, "ask_back", { reason: "which pad?" });
    const model = says(reply("pad 2"));
    await stage.run(threadId, { primary: model });
    expect(model.requests[0]?.messages[1]?.content).toContain("which pad?");
    expect(threadStatus(await stage.state(threadId))).toBe("waiting");

    await stage.decide(approval.approvalId, "approve");
    await stage.run(threadId, { primary: says(reply("launched")) });
    expect(await ledgerFor(threadId)).toHaveLength(1);
  });

  it("is denied when it expires, and the model is told", async () => {
    const { threadId, approval } = await proposed(launch({ policy: "short" }));
    expect(approval.expiresAt).not.toBeNull();
    await stage.fireTimers(threadId);
    const model = says(reply("nobody decided"));
    await stage.run(threadId, { primary: model });

    expect(model.requests[0]?.messages[1]?.content).toContain('outcome="expired"');
    expect(await stage.decide(approval.approvalId, "approve")).toMatchObject({ outcome: "already" });
    expect(await ledgerFor(threadId)).toEqual([]);
  });

  it("by a policy that nobody wrote is not asked for and does not run", async () => {
    const { threadId } = await stage.say("launch it");
    const model = says(launch({ policy: "unwritten" }), reply("I may not"));
    await stage.run(threadId, { primary: model });
    expect(model.requests[1]?.messages[1]?.content).toContain("is not configured");
    expect(await ledgerFor(threadId)).toEqual([]);
  });

  it("is answered as waiting when it is proposed again", async () => {
    const { threadId } = await proposed();
    await stage.say("launch it!", { threadId });
    await stage.run(threadId, { primary: says(launch()) });
    expect((await stage.said(threadId)).filter(({ kind }) => kind === "approval")).toHaveLength(1);
    expect((await stage.said(threadId)).at(-1)?.text).toBe("That is already waiting for an approval.");
  });
});

describe("a message while an approval waits", () => {
  it("can replace the proposal: the older one can no longer be approved", async () => {
    const { threadId, approval } = await proposed();
    await stage.say("slower", { threadId });
    await stage.run(threadId, { primary: says(launch({ does: "slow" })) });

    expect(await stage.decide(approval.approvalId, "approve")).toMatchObject({
      outcome: "already",
      status: "withdrawn",
    });
    expect((await stage.pendingApproval(threadId)).args).toMatchObject({ does: "slow" });
  });

  it("leaves proposals on other subjects open", async () => {
    const { threadId, approval } = await proposed();
    await stage.say("and the balloon", { threadId });
    await stage.run(threadId, { primary: says(launch({ id: "balloon" })) });
    expect((await stage.approvals.get(approval.approvalId))?.status).toBe("pending");
    expect((await stage.state(threadId)).calls.map(({ status }) => status)).toEqual(["awaiting", "awaiting"]);
  });

  it("that arrives while the proposal is being made lets the model decide before anybody is asked", async () => {
    const { threadId } = await stage.say("launch it");
    const model = says(async () => {
      await stage.say("no, wait", { threadId });
      return launch();
    }, reply("waiting"));
    await stage.run(threadId, { primary: model });
    expect(await stage.said(threadId)).toEqual([{ kind: "reply", text: "waiting", answers: [2, 3] }]);
  });
});

describe("nothing runs, and the thread says so, when what was approved is not what would run", () => {
  const tampered = async (sql: string) => {
    const { threadId, approval } = await proposed();
    await stage.decide(approval.approvalId, "approve");
    await stage.sql(sql, [sql.includes("events") ? threadId : approval.approvalId]);
    const model = says(reply("it did not run"));
    await stage.run(threadId, { primary: model });
    expect(await ledgerFor(threadId)).toEqual([]);
    expect(model.requests[0]?.messages[1]?.content).toContain("Nothing ran.");
    expect(stage.logged.map(({ event }) => event)).toContain("approval_mismatch");
  };

  it("the stored arguments were changed", () =>
    tampered(`update approvals set args = '{"id": "bomb"}' where id = $1`));

  it("the stored arguments and the digest were changed", () =>
    tampered(`update approvals set args = '{"id": "bomb"}', digest = repeat('a', 64) where id = $1`));

  it("the stored requesters were changed, and the digest to match", async () => {
    const { threadId, approval } = await proposed();
    await stage.decide(approval.approvalId, "approve");
    const requesters = ["mallory"];
    const digest = editedDigest({ ...approval, requesters }, approval.args);
    await stage.sql("update approvals set requesters = $2, digest = $3 where id = $1", [
      approval.approvalId,
      requesters,
      digest,
    ]);
    await stage.run(threadId, { primary: says(reply("it did not run")) });
    expect(await ledgerFor(threadId)).toEqual([]);
  });

  it("the call in the log was changed", () =>
    tampered(`update events set data = jsonb_set(data, '{decision,calls,0,args,id}', '"bomb"')
               where thread_id = $1 and type = 'step_decided'`));

  it("the approval was taken back behind the log's back", () =>
    tampered("update approvals set status = 'rejected' where id = $1"));
});

describe("a cancellation", () => {
  it("withdraws what waits, answers the message, and a later message starts afresh", async () => {
    const { threadId, approval } = await proposed();
    await stage.cancel(threadId);
    await stage.run(threadId, { primary: says() });
    expect((await stage.approvals.get(approval.approvalId))?.status).toBe("withdrawn");
    expect(await stage.said(threadId)).toContainEqual({ kind: "reply", text: "Cancelled.", answers: [2] });
    expect(threadStatus(await stage.state(threadId))).toBe("cancelled");

    await stage.say("hello again", { threadId });
    await stage.run(threadId, { primary: says(reply("hello")) });
    expect((await stage.said(threadId)).at(-1)).toMatchObject({ text: "hello" });
  });

  it("that finds an approval given and not yet begun keeps it from beginning", async () => {
    const { threadId, approval } = await proposed();
    await stage.decide(approval.approvalId, "approve");
    await stage.cancel(threadId);
    await stage.run(threadId, { primary: says() });
    expect(await ledgerFor(threadId)).toEqual([]);
    expect((await stage.approvals.get(approval.approvalId))?.status).toBe("withdrawn");
  });
});

it("asks for several lookups that need an approval each, and runs each once it is approved", async () => {
  const { threadId } = await stage.say("look");
  const calls = ["a", "b"].map((id) => ({ tool: "look", args: { id, policy: "ask" } }));
  await stage.run(threadId, { primary: says(stepOf("gather", { calls })) });
  for (let index = 0; index < 2; index++) {
    const { approvalId } = await stage.pendingApproval(threadId);
    await stage.decide(approvalId, "approve");
    await stage.run(threadId, { primary: says(reply(`${index}`)) });
  }
  expect((await ledgerFor(threadId)).map(({ args }) => args.id).sort()).toEqual(["a", "b"]);
});
