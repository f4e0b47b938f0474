import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { awaitingApproval } from "./seeding.ts";
import { type Serving, serving } from "./serving.ts";

let s: Serving;
beforeAll(async () => {
  s = await serving();
});
afterAll(() => s.close());

const decide = (approvalId: string, body: object, token?: string) =>
  s.call("POST", `/v1/approvals/${approvalId}/decision`, { body, ...(token === undefined ? {} : { token }) });

it("shows exactly what will run, with its digest", async () => {
  const { approvalId, threadId } = await awaitingApproval(s.log);
  const { body } = await s.call("GET", `/v1/approvals/${approvalId}`);

  expect(body).toMatchObject({
    id: approvalId,
    threadId,
    tool: "deploy",
    args: { tag: "v1.4.2" },
    status: "pending",
    policy: "production",
    requesters: ["bob"],
    summary: "Deploy v1.4.2",
  });
  expect(body.shortDigest).toBe(body.digest.slice(0, 12));
});

it("approves once; a later verdict is told who was first", async () => {
  const { approvalId, threadId } = await awaitingApproval(s.log);
  const first = await decide(approvalId, { verdict: "approve" });
  const second = await decide(
    approvalId,
    { verdict: "reject", reason: "no" },
    await s.tokenWith("approvals:decide"),
  );

  expect([first.status, first.body.status, first.body.decidedBy]).toEqual([200, "approved", "admin"]);
  expect(s.rung).toContain(threadId);
  expect(second.status).toBe(409);
  expect(second.body.detail).toBe("Already decided by admin: approved.");
  expect(s.decisions).toContain("reject:already");
});

it("has one winner among many who decide at once", async () => {
  const { approvalId } = await awaitingApproval(s.log);
  const verdicts = Array.from({ length: 40 }, (_, index) =>
    decide(approvalId, index % 2 === 0 ? { verdict: "approve" } : { verdict: "reject", reason: "no" }),
  );
  const answers = await Promise.all(verdicts);

  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(39);
});

it("counts towards a quorum, and shows who has agreed", async () => {
  const { approvalId } = await awaitingApproval(s.log, { quorum: 2 });
  const first = await decide(approvalId, { verdict: "approve" });
  const second = await decide(approvalId, { verdict: "approve" }, await s.tokenWith("approvals:decide"));

  expect(first.body).toMatchObject({ status: "pending", approvedBy: ["admin"] });
  expect(second.body).toMatchObject({ status: "approved", approvedBy: ["admin", "ann"] });
});

it("refuses with the policy's reason whoever may not decide", async () => {
  const { approvalId } = await awaitingApproval(s.log, { roles: ["ops"] });
  const byAdmin = await decide(approvalId, { verdict: "approve" });
  const byOps = await decide(approvalId, { verdict: "approve" }, await s.tokenWith("approvals:decide"));

  expect([byAdmin.status, byAdmin.body.detail]).toEqual([
    403,
    'The policy "production" does not let you decide this.',
  ]);
  expect(byOps.status).toBe(200);
});

it("asks the access gate before the policy", async () => {
  const { approvalId } = await awaitingApproval(s.log);
  const { secret } = await s.tokens.create({
    name: "m",
    person: "mallory",
    scopes: ["admin"],
    expiresAt: null,
  });

  expect((await decide(approvalId, { verdict: "approve" }, secret)).body.detail).toBe(
    "Mallory is not heard.",
  );
  expect((await s.approvals.get(approvalId))?.status).toBe("pending");
});

describe("a verdict", () => {
  it.each([
    ["reject without a reason", { verdict: "reject" }, "body.reason"],
    ["reject with a blank reason", { verdict: "reject", reason: "  \0" }, "body.reason"],
    ["ask back without a question", { verdict: "ask_back" }, "body.reason"],
    ["edit without arguments", { verdict: "edit" }, "body.args"],
    ["approve with arguments", { verdict: "approve", args: { tag: "v9" } }, "body.args"],
    ["that nobody knows", { verdict: "maybe" }, "body.verdict"],
  ])("%s is 400 and changes nothing", async (_, body, path) => {
    const { approvalId } = await awaitingApproval(s.log);
    const answer = await decide(approvalId, body);

    expect([answer.status, answer.body.errors[0].path]).toEqual([400, path]);
    expect((await s.approvals.get(approvalId))?.status).toBe("pending");
  });

  it("edits the arguments under a new digest, if the tool takes them", async () => {
    const { approvalId } = await awaitingApproval(s.log);
    const { digest } = (await s.call("GET", `/v1/approvals/${approvalId}`)).body;

    expect((await decide(approvalId, { verdict: "edit", args: { wrong: 1 } })).status).toBe(400);
    const { body } = await decide(approvalId, { verdict: "edit", args: { tag: "v1.4.3" } });
    expect(body).toMatchObject({ status: "approved", args: { tag: "v1.4.3" } });
    expect(body.digest).not.toBe(digest);
  });

  it("asks back and leaves the approval pending", async () => {
    const { approvalId } = await awaitingApproval(s.log);
    const { status, body } = await decide(approvalId, { verdict: "ask_back", reason: "why today?" });

    expect([status, body.status]).toEqual([200, "pending"]);
  });
});

it("lists by status and thread, page by page, each once", async () => {
  const made: string[] = [];
  for (let index = 0; index < 5; index++) made.push((await awaitingApproval(s.log)).approvalId);
  const seen: string[] = [];
  let cursor = "";
  for (;;) {
    const { body } = await s.call("GET", `/v1/approvals?status=pending&limit=2${cursor}`);
    seen.push(...body.items.map(({ id }: { id: string }) => id));
    if (body.next === null) break;
    cursor = `&cursor=${body.next}`;
  }

  expect(new Set(seen).size).toBe(seen.length);
  expect(made.filter((id) => !seen.includes(id))).toEqual([]);
  const one = await awaitingApproval(s.log);
  const { body } = await s.call("GET", `/v1/approvals?threadId=${one.threadId}`);
  expect(body.items.map(({ id }: { id: string }) => id)).toEqual([one.approvalId]);
});

it("is 404 for an approval that does not exist", async () => {
  expect((await decide("01900000-0000-7000-8000-000000000000", { verdict: "approve" })).status).toBe(404);
});
