import { mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Agent } from "../../../agents/agent.ts";
import support from "../../../agents/support/agent.ts";
import type { Json, JsonObject } from "../../../core/json.ts";
import { startTempPostgres, type TempPostgres } from "../../support/temp-postgres.ts";
import { contextOf, environmentOf, run, tempFolder, toolOf } from "../bundled-environment.ts";

let database: TempPostgres;
beforeAll(async () => {
  database = await startTempPostgres();
});
afterAll(() => database.close());

let temp: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  await database.query("drop schema if exists agent_support cascade");
  temp = await tempFolder();
});
afterEach(() => temp.remove());

const load = (settings: JsonObject = {}): Promise<Agent> =>
  support.load(environmentOf(temp.folder, database.query, { settings }));

async function search(agent: Agent, question: string): Promise<JsonObject[]> {
  const { articles } = (await run(agent, "search_articles", { question })) as { articles: JsonObject[] };
  return articles;
}

const refundArgs = (more = {}): JsonObject => ({
  orderId: "A-1001",
  amountCents: 3990,
  refundedBeforeCents: 0,
  reason: "it flickers",
  ...more,
});
const refunds = (): Promise<Json[]> =>
  database.query(
    "select order_id, amount_cents::int, reason, requester from agent_support.ledger where kind = 'refund'",
  ) as Promise<Json[]>;

it.each([
  ["How long does shipping to Norway take?", "shipping.md"],
  ["Can I return a lamp?", "returns.md"],
  ["my parcel has not moved, tracking", "tracking.md"],
  ["The display of the desk shows E01", "desk-assembly.md"],
  ["do you accept PayPal or invoices", "payment.md"],
  ["cancel my order", "changing-an-order.md"],
])("finds the article for %j", async (question, source) => {
  const [best] = await search(await load(), question);

  expect(best?.source).toBe(source);
  expect(best?.coverage).toBeGreaterThanOrEqual(0.5);
});

it("gives excerpts as plain text, without any mark-up of its own", async () => {
  const [best] = await search(await load(), "warranty");

  expect(best).toMatchObject({ source: "warranty.md", title: "Warranty and repairs" });
  expect(best?.excerpt).toMatch(/five years/);
  expect(best?.excerpt).not.toMatch(/<b>/);
});

it("takes every kind of question as words and never as syntax", async () => {
  const agent = await load();

  for (const question of [
    "'; drop table x; --",
    "a & | ! ( ) :* <->",
    '"unclosed',
    "\\",
    "é ü 漢字 🙂",
    "http://example.com/?a=1&b=2",
  ]) {
    expect(await search(agent, question), question).toEqual(expect.any(Array));
  }
  expect(await search(agent, "aquarium")).toEqual([]);
});

async function shop(files: Record<string, string>): Promise<JsonObject> {
  await mkdir(join(temp.folder, "help/more"), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(temp.folder, "help", name), text);
  return { shop: "Own shop", articles: "help" };
}

it("keeps up with the folder: new, changed and deleted articles", async () => {
  const agent = await load(
    await shop({ "a.md": "# Apples\n\nApples are green.", "more/b.md": "Bananas are yellow." }),
  );
  expect(await search(agent, "green apples")).toMatchObject([{ source: "a.md", title: "Apples" }]);
  expect(await search(agent, "bananas")).toMatchObject([{ source: "more/b.md", title: "b" }]);

  await shop({ "a.md": "# Apples\n\nApples are crimson.", "c.md": "Cherries." });
  await utimes(join(temp.folder, "help/a.md"), new Date(), new Date(Date.now() + 5_000));
  await rm(join(temp.folder, "help/more/b.md"));
  await sleep(1_050);

  expect(await search(agent, "crimson")).toMatchObject([{ source: "a.md" }]);
  expect(await search(agent, "green")).toEqual([]);
  expect(await search(agent, "cherries")).toMatchObject([{ source: "c.md" }]);
  expect(await search(agent, "bananas")).toEqual([]);
});

it("writes an article again only when its content has changed", async () => {
  const settings = await shop({ "a.md": "Apples.", "b.md": "Bananas." });
  await load(settings);
  const versions = () =>
    database.query("select source, xmin::text from agent_support.articles order by source");
  const before = await versions();

  await utimes(join(temp.folder, "help/a.md"), new Date(), new Date(Date.now() + 5_000));
  await writeFile(join(temp.folder, "help/b.md"), "Blueberries.");
  await load(settings);

  const after = await versions();
  expect(after[0]).toEqual(before[0]);
  expect(after[1]).not.toEqual(before[1]);
});

it("goes on answering from its copy while the folder cannot be read", async () => {
  const agent = await load(await shop({ "a.md": "Apples are green." }));
  await rm(join(temp.folder, "help"), { recursive: true });
  await sleep(1_050);

  expect(await search(agent, "apples")).toMatchObject([{ source: "a.md" }]);
});

it("refuses an article that is too large when it starts", async () => {
  const settings = await shop({ "a.md": "x".repeat(1024 * 1024 + 1) });

  await expect(load(settings)).rejects.toThrow(
    /agents\.settings\.support\.articles: .*a\.md is larger than 1 MB/,
  );
});

it("lists every problem of its settings in one go", async () => {
  await expect(load({ refundLimit: 1.005, articles: 3 })).rejects.toMatchObject({
    problems: [
      expect.stringMatching(/support\.shop: /),
      expect.stringMatching(/support\.articles: must be the path/),
      expect.stringMatching(/support\.refundLimit: must have two decimals/),
    ],
  });
});

it("reads an article by its source and nothing else", async () => {
  const agent = await load();

  expect(await run(agent, "read_article", { source: "refunds.md" })).toMatchObject({
    text: expect.stringContaining("PayPal"),
  });
  await expect(run(agent, "read_article", { source: "../agent.ts" })).rejects.toThrow(
    "There is no article ../agent.ts.",
  );
});

it("looks an order up with what can still be refunded", async () => {
  const agent = await load();
  await run(agent, "refund", refundArgs({ amountCents: 1000 }));

  expect(await run(agent, "look_up_order", { orderId: "A-1001" })).toEqual({
    orderId: "A-1001",
    customer: "Ada Miller",
    item: "Desk lamp Lumo",
    placedOn: "2026-03-02",
    currency: "EUR",
    chargedCents: 3990,
    refundedCents: 1000,
    refundableCents: 2990,
  });
  await expect(run(agent, "look_up_order", { orderId: "A-9999" })).rejects.toThrow(
    "There is no order A-9999.",
  );
});

it("refunds once however often the same call comes, also at the same time", async () => {
  const agent = await load();
  const context = contextOf();

  const results = await Promise.all(
    Array.from({ length: 8 }, () => run(agent, "refund", refundArgs(), context)),
  );

  expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
  expect(await refunds()).toEqual([
    { order_id: "A-1001", amount_cents: 3990, reason: "it flickers", requester: "ada" },
  ]);
});

it("never refunds more than was charged, however many calls meet", async () => {
  const agent = await load();

  const ends = await Promise.allSettled(
    Array.from({ length: 8 }, () => run(agent, "refund", refundArgs({ amountCents: 2000 }))),
  );

  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await refunds()).toHaveLength(1);
  await expect(
    run(agent, "refund", refundArgs({ amountCents: 2000, refundedBeforeCents: 2000 })),
  ).rejects.toThrow("20.00 EUR is more than the 19.90 EUR that can still be refunded on A-1001.");
});

it("refuses a refund that was proposed on an old state of the order", async () => {
  const agent = await load();
  await run(agent, "refund", refundArgs({ amountCents: 500 }));

  await expect(run(agent, "refund", refundArgs({ amountCents: 500 }))).rejects.toThrow(
    "A-1001 has been refunded 5.00 EUR, not 0.00 EUR: look the order up again.",
  );
});

it("asks for approval above the limit, and counts what was refunded before", async () => {
  const approval = toolOf(await load(), "refund").approval as (args: object) => string | null;

  expect(approval(refundArgs({ amountCents: 5000 }))).toBeNull();
  expect(approval(refundArgs({ amountCents: 5001 }))).toBe("refunds");
  expect(approval(refundArgs({ amountCents: 2500, refundedBeforeCents: 2501 }))).toBe("refunds");
});

it("takes the limit and the policy from its settings", async () => {
  const settings = { ...(await shop({ "a.md": "x" })), refundLimit: 12.5, refundPolicy: "money" };
  const approval = toolOf(await load(settings), "refund").approval as (args: object) => string | null;

  expect(approval(refundArgs({ amountCents: 1250 }))).toBeNull();
  expect(approval(refundArgs({ amountCents: 1251 }))).toBe("money");
});

it("brings the demo's orders only when the demo applies, and only once", async () => {
  await load(await shop({ "a.md": "x" }));
  expect(await database.query("select 1 from agent_support.orders")).toEqual([]);

  await Promise.all([load(), load(), load()]);
  const [sums] = await database.query(
    "select count(*)::int as orders, (select sum(amount_cents)::int from agent_support.ledger) as charged, sum(charged_cents)::int as ordered from agent_support.orders",
  );
  expect(sums?.orders).toBe(6);
  expect(sums?.charged).toBe(sums?.ordered);
});
