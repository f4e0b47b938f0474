/** The HTTP server over a real database, with what lies outside of it (bells, live signals, agents) in the test's hands. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RefusedError } from "../../../core/errors.ts";
import type { JsonObject } from "../../../core/json.ts";
import type { Live, LiveSignal, Log } from "../../../core/ports.ts";
import type { Binding, Sender } from "../../../core/words.ts";
import type { StatusView } from "../../../gateway/api.ts";
import type { HttpDeps } from "../../../gateway/http/deps.ts";
import type { Scope } from "../../../gateway/http/scopes.ts";
import { createHttp } from "../../../gateway/http/server.ts";
import { clock, ids } from "../../../gateway/ids.ts";
import { createIngest, type IngestDeps } from "../../../gateway/ingest.ts";
import { approvals } from "../../../store/approvals.ts";
import { listing } from "../../../store/listing.ts";
import { threadLog } from "../../../store/log.ts";
import { outbox } from "../../../store/outbox.ts";
import { tokens } from "../../../store/tokens.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";

export const origin = "http://localhost";

/** Live signals that arrive at once. */
export function directLive(): Live {
  const listeners = new Set<(signal: LiveSignal) => void>();
  return {
    publish: (signal) => {
      for (const listener of listeners) listener(signal);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const status: StatusView = {
  version: "0.0.0",
  model: { name: "stand-in", offline: true },
  agents: [{ name: "helper", description: "Helps." }],
  channels: [
    { name: "web", on: true },
    { name: "slack", on: false },
  ],
  database: "embedded",
  queue: "postgres",
  nextSteps: [],
};

export type Serving = Awaited<ReturnType<typeof serving>>;

export async function serving(
  change: Partial<HttpDeps> & { route?: IngestDeps["route"]; doorbell?: HttpDeps["doorbell"] } = {},
) {
  const db = await testDatabase();
  const deps = await depsOver(db, change);
  const http = createHttp(deps);
  const admin = await deps.tokens.ensureAdminToken({});
  if (admin === null) throw new Error("no admin token");
  const call = async (method: string, path: string, options: CallOptions = {}): Promise<Answered> => {
    const headers = new Headers(options.headers);
    const token = options.token === undefined ? admin : options.token;
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    if (options.body !== undefined && !headers.has("content-type"))
      headers.set("content-type", "application/json");
    const body = options.body === undefined ? null : JSON.stringify(options.body);
    const response = await http.app.request(`${origin}${path}`, { method, headers, body });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parsed(text), text };
  };
  return {
    ...deps,
    http,
    db,
    admin,
    call,
    tokenWith: async (...scopes: Scope[]) =>
      (await deps.tokens.create({ name: "test", person: "ann", scopes, expiresAt: null })).secret,
    async close() {
      await rm(deps.consoleFolder, { recursive: true, force: true });
      await db.close();
    },
  };
}

export interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
  /** The admin's when left out; null for none. */
  token?: string | null;
}

export interface Answered {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads answers of many shapes.
  body: any;
  text: string;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function depsOver({ database }: TestDatabase, change: Parameters<typeof serving>[0] = {}) {
  const rung: string[] = [];
  const logged: { event: string; fields: Record<string, unknown> }[] = [];
  const keep: Log = (_level, event, fields) => void logged.push({ event, fields });
  const requests: Parameters<HttpDeps["metrics"]["hooks"]["request"]>[0][] = [];
  const streams: number[] = [];
  const decisions: string[] = [];
  const base = {
    log: threadLog(database),
    database,
    approvals: approvals(database),
    outbox: outbox(database),
    tokens: tokens(database, ids),
    listing: listing(database),
    doorbell: {
      ringThread: async (threadId: string) => void rung.push(threadId),
      ringDelivery: async (threadId: string) => void rung.push(`delivery:${threadId}`),
      ringTimer: async () => {},
    },
    live: directLive(),
    ids,
    clock,
    gate: (_kind: unknown, sender: Sender, _binding: Binding) =>
      sender.person === "mallory"
        ? { allowed: false as const, reason: "Mallory is not heard." }
        : { allowed: true as const },
    agents: {
      names: () => status.agents,
      checkEdit: (_approval: unknown, args: JsonObject) => {
        if ("wrong" in args) {
          throw new RefusedError("invalid", "wrong: not an argument", { operation: "edit approval" });
        }
        return args;
      },
    },
    people: {
      rolesOf: (person: string) => (person === "ann" ? ["ops"] : person === "admin" ? ["admin"] : []),
      nameOf: (person: string) => (person === "ann" ? "Ann" : person),
    },
    status: () => status,
    promptFor: async () => null,
    metrics: {
      contentType: "text/plain; version=0.0.4",
      text: async () => "parley_up 1\n",
      hooks: {
        request: (request: (typeof requests)[number]) => void requests.push(request),
        decision: (verdict: string, outcome: string) => void decisions.push(`${verdict}:${outcome}`),
        streams: (open: number) => void streams.push(open),
      },
    },
    limits: { bodyBytes: 20_000, messageCharacters: 1_000 },
    publicUrl: null as string | null,
    consoleFolder: await mkdtemp(join(tmpdir(), "parley-console-")),
    logger: keep,
    webhooks: [],
    ...change,
  };
  const ingest = createIngest({
    ...base,
    route: change?.route ?? (() => "helper"),
    metrics: { accepted: () => {}, deduped: () => {}, refused: () => {} },
  });
  return { ...base, ingest, rung, logged, requests, streams, decisions };
}
