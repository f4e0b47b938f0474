/**
 * Live signals over NOTIFY, and over LISTEN where somebody listens, on one connection of its own. A transaction of a
 * NOTIFY alone writes no log and costs no disk. The connection comes back for ever; what is published while it is away
 * is dropped.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { errorLine } from "../core/errors.ts";
import { backoffMs, settlesWithin } from "./bounded.ts";
import { type LiveTransport, liveOver, type OpenLive } from "./live.ts";
import { type Log, sparingly } from "./log.ts";

const CHANNEL = "parley_live";
/** Postgres takes payloads shorter than 8,000 bytes (documentation of NOTIFY). */
const MAX_BYTES = 7_900;
/** More unsent payloads than this are dropped: the server has stopped answering. */
const MAX_UNSENT = 1_000;
const CLOSE_LIMIT_MS = 2_000;

export function postgresLive(url: string, log: Log): OpenLive {
  return liveOver((receive) => openTransport(url, receive, log), log);
}

function openTransport(url: string, receive: (payload: string) => void, log: Log): LiveTransport {
  const ended = new AbortController();
  const sparing = sparingly(log);
  const unsent: pg.QueryConfig[] = [];
  let client: pg.Client | undefined;
  let sending = false;
  let listening = false;
  const lose = (error: unknown): void => sparing("warn", "live.lost", { error: errorLine(error) });
  const running = stayConnected();

  /** Connects, waits for the connection to break, and begins again. */
  async function stayConnected(): Promise<void> {
    for (let attempt = 0; !ended.signal.aborted; attempt += 1) {
      const next = newClient(url);
      const broken = new Promise<void>((resolve) => next.once("end", () => resolve()));
      next.on("error", lose);
      next.on("notification", (message) => receive(message.payload ?? ""));
      try {
        await next.connect();
        if (listening) await next.query(`LISTEN ${CHANNEL}`);
        if (attempt > 0) log("info", "live.reachable", { attempts: attempt });
        attempt = 0;
        client = next;
        await Promise.race([broken, aborted(ended.signal)]);
      } catch (error) {
        lose(error);
      }
      client = undefined;
      unsent.length = 0;
      await settlesWithin(next.end(), CLOSE_LIMIT_MS);
      await sleep(backoffMs(attempt, 100, 5_000), undefined, { signal: ended.signal }).catch(() => undefined);
    }
  }
  async function sendAll(from: pg.Client): Promise<void> {
    sending = true;
    try {
      for (let statement = unsent.shift(); statement !== undefined; statement = unsent.shift()) {
        await from.query(statement);
      }
    } catch (error) {
      lose(error);
      void from.end().catch(lose);
    } finally {
      sending = false;
    }
  }

  /** One after the other: the driver takes no second statement on a connection that is busy with one. */
  function say(statement: pg.QueryConfig): void {
    if (!client) return;
    unsent.push(statement);
    if (!sending) void sendAll(client);
  }

  return {
    maxBytes: MAX_BYTES,
    listen: () => {
      if (listening) return;
      listening = true;
      say({ text: `LISTEN ${CHANNEL}` });
    },
    send: (payload) => {
      if (unsent.length < MAX_UNSENT) say({ text: "select pg_notify($1, $2)", values: [CHANNEL, payload] });
    },
    close: async () => {
      ended.abort();
      await running;
    },
  };
}

function newClient(url: string): pg.Client {
  return new pg.Client({
    connectionString: url,
    application_name: "parley live",
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
