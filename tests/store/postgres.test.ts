import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ParleyError } from "../../core/errors.ts";
import { migrate, openDatabase, sqlState } from "../../store/postgres.ts";
import { missingMigrations } from "../../store/readiness.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { times } from "./facts.ts";

describe("the connection", () => {
  let empty: TestDatabase;
  beforeAll(async () => {
    empty = await testDatabase({ migrated: false });
  });
  afterAll(() => empty.close());

  it("brings the schema up to date once when several processes start together, and may do so again", async () => {
    expect(await missingMigrations(empty.database)).not.toEqual([]);
    await times(6, () => migrate(empty.url));
    await migrate(empty.url);

    expect(await missingMigrations(empty.database)).toEqual([]);
    expect(
      await empty.database.run({
        text: "select count(*)::int as n from parley_migrations where name = '0001_spine'",
      }),
    ).toEqual([{ n: 1 }]);
  });

  it("says of an error whether trying again can help, and keeps the server's code", async () => {
    const failure = async (text: string): Promise<ParleyError> => {
      const error = await empty.database.run({ text }).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof ParleyError)) throw new Error("no ParleyError");
      return error;
    };
    expect(await failure("select 1/0").then((error) => [error.retryable, sqlState(error)])).toEqual([
      false,
      "22012",
    ]);
    expect(await failure("select nothing").then((error) => [error.retryable, sqlState(error)])).toEqual([
      false,
      "42703",
    ]);
    expect((await failure("select pg_terminate_backend(pg_backend_pid())")).retryable).toBe(true);
    expect(await empty.database.run({ text: "select 1 as one" })).toEqual([{ one: 1 }]);
  });

  it("ends a statement that takes too long, and survives", async () => {
    const hurried = openDatabase({ url: empty.url, statementTimeoutMs: 50, maxConnections: 1 });
    try {
      await expect(hurried.run({ text: "select pg_sleep(5)" })).rejects.toMatchObject({ retryable: true });
      expect(await hurried.run({ text: "select 1 as one" })).toEqual([{ one: 1 }]);
    } finally {
      await hurried.close();
    }
  });

  it("explains where no database answers", async () => {
    await expect(migrate("postgresql://nobody@127.0.0.1:1/none")).rejects.toMatchObject({
      operation: "migrate the database",
    });
  });
});
