/** Whether the database answers and has the schema this program needs. Reads only. */
import { readdir } from "node:fs/promises";
import { parse } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Database } from "./postgres.ts";

const folder = fileURLToPath(new URL("./migrations", import.meta.url));

/** The migrations of this program that the database has not had. @throws {ParleyError} when it does not answer. */
export async function missingMigrations(database: Database): Promise<string[]> {
  const table = await database.run({ text: "select to_regclass('parley_migrations') is not null as there" });
  const known = (await readdir(folder))
    .filter((name) => name.endsWith(".sql"))
    .map((name) => parse(name).name);
  if (table[0]?.there !== true) return known.sort();
  const rows = await database.run({ text: "select name from parley_migrations" });
  const done = new Set(rows.map((row) => z.string().parse(row.name)));
  return known.filter((name) => !done.has(name)).sort();
}
