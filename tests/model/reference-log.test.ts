/**
 * Keeps the reference honest: the same random operations on it and on the real store, and every outcome and, at the end, every
 * row that matters has to be the same. Both go by one clock, which stands still until a sequence moves it.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDatabase } from "../../store/postgres.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { type Both, bothStores, operations, rowsOf } from "./both-stores.ts";
import { type Guards, guards } from "./reference-log.ts";
import { sequences } from "./sequences.ts";

let db: TestDatabase;
let real: Both["real"];
beforeAll(async () => {
  db = await testDatabase();
  await db.database.run({ text: "create schema clock" });
  await db.database.run({ text: "create table clock.hand (at timestamptz not null)" });
  await db.database.run({ text: "insert into clock.hand values ('2030-01-01T12:00:00Z')" });
  await db.database.run({
    text: "create function clock.now() returns timestamptz language sql stable as 'select at from clock.hand'",
  });
  await db.database.run({ text: "alter table model_calls alter at set default clock.now()" });
  // Named before pg_catalog, ours is the one that every statement means by now().
  const text = `do $$ begin execute format('alter database %I set search_path = clock, pg_catalog, public', current_database()); end $$`;
  await db.database.run({ text });
  real = openDatabase({ url: db.url, maxConnections: 2 });
});
afterAll(async () => {
  await real?.close();
  await db?.close();
});

const property = (rules: Guards = guards) =>
  fc.asyncProperty(operations, async (all) => {
    const both = await bothStores(real, rules);
    await fc.asyncModelRun(() => ({ model: both, real: both }), all);
    const [reference, stored] = await rowsOf(both);
    expect(reference).toEqual(stored);
    for (const outcome of both.outcomes) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  });
const seen = new Map<string, number>();

const { numRuns, timeoutMs } = sequences(0.15);

it(
  "answers every operation as the real store does, and holds the same rows at the end",
  async () => {
    await fc.assert(property(), { numRuns });
    const rare = [
      "committed",
      "moved",
      "StaleLeaseError",
      "null",
      "duplicate",
      "decided",
      "counted",
      "already",
    ];
    for (const outcome of rare) expect(seen.get(outcome) ?? 0, outcome).toBeGreaterThan(numRuns / 100);
  },
  timeoutMs,
);

const wrong: [string, Partial<Guards>][] = [
  ["leases a thread that is held", { free: () => true }],
  ["takes a commit under an old fence", { held: () => true }],
  ["does not look where the log ends", { unmoved: () => true }],
  [
    "takes an approval twice",
    { usable: (approval) => approval !== undefined && approval.status !== "pending" },
  ],
  ["takes an approval by another digest", { usable: (approval) => approval?.status === "approved" }],
  ["counts a verdict after the last", { open: () => true }],
  ["takes a message twice", { known: (place): place is never => place === null }],
];

/** All that CI plays: each difference has to show within them. */
const all = sequences(1);

it.each(wrong)(
  "tells a store apart that %s",
  async (_, guard) => {
    const result = await fc.check(property({ ...guards, ...guard }), {
      numRuns: all.numRuns,
      endOnFailure: true,
    });
    expect(result.failed).toBe(true);
    // A difference between the two, and not something that broke.
    expect(result.errorInstance).toHaveProperty("name", "AssertionError");
  },
  all.timeoutMs,
);
