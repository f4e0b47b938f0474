/**
 * The connection to Postgres, embedded or external: one pool, migrations under a lock, and the mapping of database
 * trouble to our errors. Nothing else in the program knows how rows come and go.
 */
import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { errorLine, ParleyError } from "../core/errors.ts";

export type Row = Record<string, unknown>;

export interface Database {
  /** Runs one statement; named ones are prepared once for each connection. @throws {ParleyError} */
  run(statement: { name?: string; text: string; values?: readonly unknown[] }): Promise<Row[]>;
  close(): Promise<void>;
}

export const minimumPostgresVersion = 140_000;

export interface DatabaseOptions {
  url: string;
  maxConnections?: number;
  /** Most that one statement may take, in ms; the server ends it. */
  statementTimeoutMs?: number;
  onError?: (error: Error) => void;
}

export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections ?? 12,
    connectionTimeoutMillis: 5_000,
    statement_timeout: options.statementTimeoutMs ?? 15_000,
    application_name: "parley",
  });
  // An idle connection that dies must not end the program: the next statement opens another.
  pool.on("error", (error) => options.onError?.(error));
  return {
    async run({ name, text, values = [] }) {
      try {
        const statement = { text, values: values.map(storable) };
        return (await pool.query<Row>(name === undefined ? statement : { name, ...statement })).rows;
      } catch (error) {
        throw databaseError(error);
      }
    },
    close: () => pool.end(),
  };
}

/** Postgres has no NUL in text. In JSON it is an escape, and `json` in log.ts takes care of it. */
const storable = (value: unknown): unknown =>
  typeof value === "string" && value.includes("\0") ? value.replaceAll("\0", "\ufffd") : value;

/** SQLSTATE of an error that came from the server, however deep it is wrapped. */
export function sqlState(error: unknown): string | null {
  if (error instanceof ParleyError) return sqlState(error.cause);
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

export const uniqueViolation = "23505";

function databaseError(error: unknown): ParleyError {
  const state = sqlState(error);
  // Classes 22 and 23 (bad values, broken constraints) and 42 (bad SQL) do not go away by trying again.
  const final = state !== null && /^(22|23|42)/.test(state);
  return new ParleyError(`database: ${errorLine(error)}`, {
    operation: "run a statement",
    publicText: "The database could not do that right now.",
    retryable: !final,
    cause: error,
  });
}

/**
 * Brings the schema up to date. Concurrent starts wait for each other on an advisory lock.
 * @throws {ParleyError} with the server's version when it is too old, or with the migration's error.
 */
export async function migrate(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    application_name: "parley",
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ n: number; name: string }>(
      "select current_setting('server_version_num')::int as n, current_setting('server_version') as name",
    );
    const version = rows[0];
    if (version === undefined || version.n < minimumPostgresVersion) {
      throw new Error(`Postgres ${version?.name ?? "?"} is too old; Parley needs 14 or later`);
    }
    await runner({
      dbClient: client,
      dir: fileURLToPath(new URL("./migrations", import.meta.url)),
      direction: "up",
      migrationsTable: "parley_migrations",
      advisoryLockMode: "wait",
      log: () => {},
      logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    });
  } catch (error) {
    throw new ParleyError(errorLine(error), {
      operation: "migrate the database",
      publicText: "The database could not be prepared.",
      cause: error,
    });
  } finally {
    await client.end().catch(() => {});
  }
}
