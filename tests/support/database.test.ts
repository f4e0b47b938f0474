import { afterAll, beforeAll, expect, it } from "vitest";
import { type TestDatabase, testDatabase } from "./database.ts";

let first: TestDatabase;
let second: TestDatabase;
beforeAll(async () => {
  [first, second] = await Promise.all([testDatabase(), testDatabase()]);
});
afterAll(() => Promise.all([first.close(), second.close()]));

it("gives each caller a migrated database that the others do not see", async () => {
  await first.database.run({
    text: "insert into tokens (id, hash, name, person, scopes) values (gen_random_uuid(), 'h', 'n', 'p', '{}')",
  });

  expect(await first.database.run({ text: "select name from tokens" })).toEqual([{ name: "n" }]);
  expect(await second.database.run({ text: "select name from tokens" })).toEqual([]);
});
