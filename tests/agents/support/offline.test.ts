import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../../agents/agent.ts";
import support from "../../../agents/support/agent.ts";
import type { JsonObject } from "../../../core/json.ts";
import { startTempPostgres, type TempPostgres } from "../../support/temp-postgres.ts";
import { environmentOf, tempFolder } from "../bundled-environment.ts";
import { converse } from "../offline-conversation.ts";

let database: TempPostgres;
let temp: Awaited<ReturnType<typeof tempFolder>>;
let agent: Agent;
beforeAll(async () => {
  [database, temp] = await Promise.all([startTempPostgres(), tempFolder()]);
  agent = await support.load(environmentOf(temp.folder, database.query));
});
afterAll(async () => {
  await database.close();
  await temp.remove();
});

it.each([
  ["How long does shipping take?", "shipping.md", "1 to 2 working days"],
  ["How do refunds work, when does the money arrive?", "refunds.md", "3 to 5 working days"],
  ["my desk shows E01", "desk-assembly.md", "ten seconds"],
])("answers from an article and names it: %s", async (message, source, expected) => {
  const { said, calls } = await converse(agent, message);

  expect(calls).toEqual(["search_articles", "read_article"]);
  expect(said).toContain(expected);
  expect(said).toMatch(new RegExp(`Sources: ${source}$`));
  expect(said).not.toMatch(/^#/);
});

it("hands over when no article answers", async () => {
  const { last, calls } = await converse(agent, "Do you sell aquariums for turtles?");

  expect(calls).toEqual(["search_articles"]);
  expect(last).toMatchObject({ intent: "handoff", to: "person" });
});

it.each(["I want to talk to a human", "can I speak to someone please", "put me through to a real person"])(
  "hands over to a person who is asked for: %s",
  async (message) => {
    const { last, calls } = await converse(agent, message);

    expect(calls).toEqual([]);
    expect(last).toMatchObject({ intent: "handoff", to: "person" });
  },
);

it("looks an order up, refunds it, and refunds it no second time", async () => {
  const first = await converse(agent, "Please refund a-1001 because it flickers");
  const second = await converse(agent, "refund A-1001");

  expect(first.calls).toEqual(["look_up_order", "refund"]);
  expect(first.said).toBe("Refunded 39.90 EUR on order A-1001. That is all of it.");
  expect(second.said).toBe("Order A-1001 has been refunded in full already.");
  const [entry] = await database.query("select reason from agent_support.ledger where kind = 'refund'");
  expect(entry).toEqual({ reason: "it flickers" });
});

it("refunds the part that is asked for, and not more than there is", async () => {
  expect((await converse(agent, "refund 10.50 EUR of A-1003")).said).toBe(
    "Refunded 10.50 EUR on order A-1003. 2.00 EUR remain.",
  );
  expect((await converse(agent, "refund €5 of A-1003")).said).toContain("5.00 EUR is more than the 2.00 EUR");
});

it("tells the reason of a rejected refund and offers a person", async () => {
  const { said } = await converse(agent, "refund A-1002", (tool: string, args: JsonObject) =>
    tool === "refund" ? { kind: "rejected", tool, args, reason: "used for a year", by: "Ben" } : null,
  );

  expect(said).toContain("Ben said “used for a year”");
  expect(said).toContain("talk to a person");
});

it("answers an approver's question with what is known about the refund", async () => {
  const { said } = await converse(agent, "refund A-1002, it wobbles", (tool: string, args: JsonObject) =>
    tool === "refund" ? { kind: "asked_back", tool, args, reason: "Why all of it?", by: "Ben" } : null,
  );

  expect(said).toContain("Ben asks: “Why all of it?”");
  expect(said).toContain("349.00 on order A-1002");
});

it.each([
  ["Where is my order A-1004?", "Order A-1004: Office chair Forma, placed on 2026-03-09, 189.00 EUR."],
  ["order A-4711", "That did not work: There is no order A-4711."],
  ["I would like a refund", "Which order is it?"],
  ["hello!", "I answer questions about Nordlicht Office"],
  ["", "I answer questions about"],
  ["thanks a lot", "You are welcome."],
])("answers %j", async (message, expected) => {
  expect((await converse(agent, message)).said).toContain(expected);
});
