/** Runs a suite on every kind of database that Parley supports: the Postgres it brings along, and the system's own. */
import { afterAll, beforeAll, describe } from "vitest";
import { type Database, migrate, openDatabase } from "../../store/postgres.ts";
import { testDatabase } from "./database.ts";
import { startSystemPostgres, systemPostgres } from "./debian-postgres.ts";
import { describeWith } from "./suite.ts";

export interface Opened {
  readonly url: string;
  readonly database: Database;
}

interface Closable extends Opened {
  close(): Promise<void>;
}

async function systemDatabase(): Promise<Closable> {
  const server = await startSystemPostgres();
  await migrate(server.url);
  const database = openDatabase({ url: server.url });
  const close = async (): Promise<void> => {
    await database.close();
    await server.close();
  };
  return { url: server.url, database, close };
}

/** @param suite gets what gives the database, once it is open: call it inside tests only. */
export function onEveryDatabase(suite: (opened: () => Opened) => void): void {
  describe("on the embedded Postgres", () => opening(testDatabase, suite));
  describeWith(systemPostgres, "on the system's Postgres", () => opening(systemDatabase, suite));
}

function opening(open: () => Promise<Closable>, suite: (opened: () => Opened) => void): void {
  let opened: Closable;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(() => opened.close());
  suite(() => opened);
}
