/**
 * BullMQ on the same Postgres that holds the record, for installations without Redis. Three queues and three workers
 * share one pool of at most four connections and one LISTEN connection. BullMQ's tables are made in a schema of their
 * own; losing that schema loses no work.
 */
import {
  type BackendFactory,
  PostgresConnection,
  type PostgresConnectionOptions,
  PostgresQueueBackend,
  runMigrations,
  withBackend,
} from "bullmq";
import pg from "pg";
import { errorLine, ParleyError } from "../core/errors.ts";
import { type Backend, queueTrail, type Ring, workerTiming } from "./backend.ts";
import { settlesWithin } from "./bounded.ts";
import { type Log, sparingly } from "./log.ts";

const POOL_CONNECTIONS = 4;
const CONNECT_LIMIT_MS = 5_000;
const QUERY_LIMIT_MS = 15_000;
const CLOSE_LIMIT_MS = 3_000;

type ListenClient = Awaited<ReturnType<PostgresConnection["getListenClient"]>>;

/** BullMQ lets each queue and worker own its connections. Theirs is shared, so only `end` ends it. */
class SharedConnection extends PostgresConnection {
  readonly #orderly = new WeakSet<ListenClient>();

  /** Several workers say LISTEN on the one client at once, which `pg` warns of and will refuse from version 9 on. */
  override async getListenClient(): Promise<ListenClient> {
    const client = await super.getListenClient();
    if (!this.#orderly.has(client)) makeOrderly(client);
    this.#orderly.add(client);
    return client;
  }

  override async close(): Promise<void> {}
  override async disconnect(): Promise<void> {}

  end(): Promise<void> {
    return super.close();
  }
}

/** @throws {ParleyError} when the database cannot be reached or migrated: it is the record too, so there is no way on. */
export async function openPostgresBackend(
  server: { url: string; schema: string },
  prefix: string,
  log: Log,
): Promise<Backend> {
  await migrate(server.url, server.schema);
  const connection = await connect(server, `${prefix} queue`);
  const factory: BackendFactory<PostgresQueueBackend, PostgresConnectionOptions> = (name, options) =>
    new PostgresQueueBackend(connection, name, options, true);
  const { Queue, Worker } = withBackend(factory);
  const sparing = sparingly(log);
  const tell = (error: Error): void => sparing("warn", "queue.error", { error: errorLine(error) });
  const nameOf = (kind: string): string => `${prefix}.${kind}`;

  return {
    reachable: () => true,
    queue: (kind) =>
      new Queue<Ring>(nameOf(kind), { connection: connection.pool, ...queueTrail }).on("error", tell),
    worker: (kind, hear, concurrency) =>
      new Worker(nameOf(kind), hear, { ...workerTiming, connection: connection.pool, concurrency }).on(
        "error",
        tell,
      ),
    close: async () => {
      connection.removeAllListeners("error");
      await settlesWithin(connection.end(), CLOSE_LIMIT_MS);
    },
  };
}

async function connect(server: { url: string; schema: string }, name: string): Promise<SharedConnection> {
  const connection = new SharedConnection({
    connectionString: server.url,
    schema: server.schema,
    max: POOL_CONNECTIONS,
    keepAlive: true,
    application_name: name,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: QUERY_LIMIT_MS,
  });
  try {
    await connection.waitUntilReady();
    return connection;
  } catch (error) {
    await settlesWithin(connection.end(), CLOSE_LIMIT_MS);
    throw unavailable("connect to the queue's schema", error);
  }
}

function unavailable(what: string, cause: unknown): ParleyError {
  return new ParleyError(`cannot ${what}: ${errorLine(cause)}`, {
    operation: "open queue",
    publicText: "The queue's database is not available.",
    cause,
  });
}

/** From now on the client begins a query only when the one before has ended. */
function makeOrderly(client: ListenClient): void {
  const query = client.query.bind(client);
  let last: Promise<unknown> = Promise.resolve();
  client.query = (text, parameters) => {
    const next = last.then(() => query(text, parameters));
    last = next.catch(() => undefined);
    return next;
  };
}

/** Safe to repeat and from many processes at once: BullMQ holds an advisory lock, on this session. */
async function migrate(url: string, schema: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await runMigrations(client, schema);
  } catch (error) {
    throw unavailable(`prepare the queue's schema "${schema}"`, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}
