import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent, OfflineHappening } from "../../../agents/agent.ts";
import deploybot from "../../../agents/deploybot/agent.ts";
import { offlineScript } from "../../../agents/deploybot/offline.ts";
import { startTempPostgres, type TempPostgres } from "../../support/temp-postgres.ts";
import { environmentOf, tempFolder } from "../bundled-environment.ts";
import { converse, type Judge } from "../offline-conversation.ts";

let database: TempPostgres;
let temp: Awaited<ReturnType<typeof tempFolder>>;
let agent: Agent;
beforeAll(async () => {
  [database, temp] = await Promise.all([startTempPostgres(), tempFolder()]);
  agent = await deploybot.load(environmentOf(temp.folder, database.query));
});
afterAll(async () => {
  await database.close();
  await temp.remove();
});

const ask = "deploy backend v1.4.2 to production";
/** People's answer to the deployment or rollback; everything else runs. */
const people =
  (answer: (tool: string, args: OfflineHappening & object) => OfflineHappening): Judge =>
  (tool, args) =>
    tool === "deploy" || tool === "roll_back" ? answer(tool, args as never) : null;
const rejecting = (reason: string) =>
  people((tool, args) => ({ kind: "rejected", tool, args: args as never, reason, by: "Ben" }));

it.each([ask, "Please ship v1.4.2 of the backend to prod!", "@deploybot deploy backend v1.4.2 production"])(
  "looks the tag up, deploys it and tells the outcome: %s",
  async (message) => {
    const { said, calls } = await converse(agent, message);

    expect(calls).toEqual(["find_tag", "deploy"]);
    expect(said).toMatch(/^Deployed backend v1\.4\.2 \([0-9a-f]{12}\) in production\./);
    expect(said).toContain("backend v1.4.2 runs in production");
  },
);

it("proposes the version that a rejection names", async () => {
  const { said } = await converse(agent, ask, rejecting("v1.4.2 leaks memory, use 1.4.1."));

  expect(said).toContain("Not deployed: Ben said “v1.4.2 leaks memory, use 1.4.1.”");
  expect(said).toContain("“deploy backend v1.4.1 to production”");
});

it("takes up a rejection that names no version, and proposes none", async () => {
  const { said } = await converse(agent, ask, rejecting("not on a Friday"));

  expect(said).toContain("Ben said “not on a Friday”");
  expect(said).not.toContain("Shall I ask for");
});

it("answers an approver's question with what it found", async () => {
  const asked = people((tool, args) => ({
    kind: "asked_back",
    tool,
    args: args as never,
    reason: "What changed?",
    by: "Ben",
  }));
  const { said } = await converse(agent, ask, asked);

  expect(said).toContain("Ben asks: “What changed?”");
  expect(said).toContain("Retry payments that time out");
});

it("says that nobody decided when an approval has expired", async () => {
  const { said } = await converse(
    agent,
    ask,
    people((tool, args) => ({ kind: "expired", tool, args: args as never })),
  );

  expect(said).toContain("Nobody decided in time, so backend v1.4.2 in production was left alone.");
});

it("says what an approver changed", async () => {
  const edited = people((tool, args) => ({
    kind: "result",
    tool,
    args: { ...(args as never as Record<string, string>), tag: "v1.4.1" },
    result: { outcome: "succeeded", output: "" },
  }));
  const { said } = await converse(agent, ask, edited);

  expect(said).toContain("Deployed backend v1.4.1");
  expect(said).toContain("The approval changed it from v1.4.2.");
});

it("names the nearest tags when one does not exist", async () => {
  const { said, calls } = await converse(agent, "deploy backend v1.4.7 to staging");

  expect(calls).toEqual(["find_tag"]);
  expect(said).toContain("The nearest are v1.4.2, v1.4.1, v1.4.0.");
});

it("rolls back to what ran before", async () => {
  const { said, calls } = await converse(agent, "roll back frontend in production");

  expect(calls).toEqual(["deployment_status", "roll_back"]);
  expect(said).toContain("Rolled back to frontend v1.4.0");
});

it("tells why it cannot roll back to what never ran", async () => {
  const { said } = await converse(agent, "roll back frontend to v1.2.0 in staging");

  expect(said).toBe("frontend v1.2.0 has not run in staging, so I cannot go back to it. Deploy it instead.");
});

it.each([
  [
    "status",
    ["deployment_status", "deployment_status", "deployment_status", "deployment_status"],
    "- frontend in staging: v1.4.2",
  ],
  ["what is running in staging?", ["deployment_status", "deployment_status"], "- backend in staging: v1.4.2"],
  ["which tags does backend have", ["list_tags"], "v1.3.0"],
  ["tags", ["list_tags", "list_tags"], "The newest tags of frontend:"],
  ["environments", ["list_environments"], "- production: people approve first (production-deploys)"],
  ["deploy", [], "which service (one of backend, frontend) and which tag and which environment"],
  ["deploy backend to staging", [], "Please say which tag, all in one message"],
  ["deploy backend and frontend v1.4.2 to staging", [], "which service"],
  ["thank you", [], "You are welcome."],
  ["What is the meaning of life?", [], "deploy backend v1.4.2 to production"],
  ["", [], "I deploy services"],
])("answers %j", async (message, expectedCalls, expected) => {
  const { said, calls } = await converse(agent, message);

  expect(calls).toEqual(expectedCalls);
  expect(said).toContain(expected);
});

it("does not take a part of a word for a service or an environment", () => {
  const script = offlineScript({ services: ["api"], environments: [{ name: "test" }, { name: "test-eu" }] });

  const step = script({ message: "roll back api in test-eu", since: [], prefetched: {} });

  expect(step).toMatchObject({
    intent: "deployment_status",
    args: { service: "api", environment: "test-eu" },
  });
});
