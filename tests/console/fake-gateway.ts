/**
 * The gateway's HTTP as the console needs it, in memory, with the gateway's strict Content-Security-Policy. It lets the
 * console's own behaviour be tested apart from the server: slow answers, lost answers, dropped streams.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { serve } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { DecisionBody, DeliveryView, Page, StatusView } from "../../gateway/api.ts";
import { FakeThread, nextId, type Signal } from "./fake-thread.ts";

const dist = join(import.meta.dirname, "../../console/dist");
export const token = "test-token";
const csrf = "csrf-1";

const policyWith = (nonce: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");

const mediaTypes: Record<string, string> = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

export interface FakeGateway {
  url: string;
  threads: FakeThread[];
  deliveries: DeliveryView[];
  status: StatusView;
  /** Decisions that arrived, in order. */
  decisions: DecisionBody[];
  /** Bodies of every attempt to send a message, with those whose answer was lost. */
  sends: { text: string; idempotencyKey: string }[];
  /** How many answers to sends are lost (503) although the message was taken. */
  loseAnswers: number;
  lastEventIds: string[];
  endSessions(): void;
  dropStreams(): void;
  close(): Promise<void>;
}

export async function startFakeGateway(): Promise<FakeGateway> {
  const sessions = new Set<string>();
  const aborts = new Set<() => void>();
  const state: Omit<FakeGateway, "url" | "close"> = {
    threads: [],
    deliveries: exampleDeliveries(),
    status: exampleStatus(),
    decisions: [],
    sends: [],
    loseAnswers: 0,
    lastEventIds: [],
    endSessions: () => sessions.clear(),
    dropStreams: () => {
      for (const abort of aborts) abort();
    },
  };
  const app = new Hono();
  app.use("/v1/*", async (c, next) => {
    const isSignIn = c.req.path === "/v1/session" && c.req.method === "POST";
    const session = /parley=(\w+)/.exec(c.req.header("cookie") ?? "")?.[1];
    if (!isSignIn && (session === undefined || !sessions.has(session)))
      return problem(c, 401, "Sign in first.");
    if (!isSignIn && c.req.method !== "GET" && c.req.header("x-csrf-token") !== csrf) {
      return problem(c, 403, "The CSRF token is missing.");
    }
    await next();
  });
  addSession(app, sessions);
  addThreads(app, state, aborts);
  addApprovals(app, state);
  addDeliveries(app, state);
  app.get("/v1/status", (c) => c.json(state.status));
  app.get("*", serveConsole);

  const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    state.dropStreams();
    await new Promise((resolve) => {
      server.close(resolve);
      if ("closeAllConnections" in server) server.closeAllConnections();
    });
  };
  return Object.assign(state, { url, close });
}

type State = Omit<FakeGateway, "url" | "close">;

function serveConsole(c: Context): Response {
  const path = normalize(c.req.path);
  const extension = extname(path);
  if (mediaTypes[extension] !== undefined) {
    return new Response(readFileSync(join(dist, path)), {
      headers: { "content-type": mediaTypes[extension] },
    });
  }
  const nonce = randomBytes(16).toString("base64");
  const html = readFileSync(join(dist, "index.html"), "utf8").replace("__CSP_NONCE__", nonce);
  return c.html(html, 200, { "content-security-policy": policyWith(nonce), "cache-control": "no-store" });
}

function addSession(app: Hono, sessions: Set<string>): void {
  app.post("/v1/session", async (c) => {
    const body = (await c.req.json()) as { token: string };
    if (body.token !== token) return problem(c, 401, "This token is not known.");
    const session = randomBytes(8).toString("hex");
    sessions.add(session);
    c.header("set-cookie", `parley=${session}; HttpOnly; SameSite=Strict; Path=/`);
    return c.body(null, 204);
  });
  app.get("/v1/session", (c) =>
    c.json({ name: "Ada", person: "ada", roles: ["admin"], scopes: ["*"], csrfToken: csrf }),
  );
  app.delete("/v1/session", (c) => {
    sessions.clear();
    return c.body(null, 204);
  });
}

function addThreads(app: Hono, state: State, aborts: Set<() => void>): void {
  const find = (c: Context) => state.threads.find(({ id }) => id === c.req.param("id"));
  app.get("/v1/threads", (c) => {
    const wanted = c.req.query("status");
    const views = state.threads.map((thread) => thread.view()).reverse();
    return c.json(page(views.filter(({ status }) => wanted === undefined || status === wanted)));
  });
  app.post("/v1/threads", async (c) => {
    const { input, idempotencyKey } = (await c.req.json()) as { input: string; idempotencyKey: string };
    const known = state.threads.find(({ keys }) => keys.has(idempotencyKey));
    const thread = known ?? new FakeThread(input, idempotencyKey);
    if (known === undefined) state.threads.push(thread);
    return c.json(thread.view(), 201);
  });
  app.get("/v1/threads/:id", (c) => withThread(c, find(c), (thread) => c.json(thread.view())));
  app.get("/v1/threads/:id/model-calls", (c) =>
    withThread(c, find(c), (thread) => c.json(page(thread.modelCalls))),
  );
  app.get("/v1/threads/:id/events", (c) =>
    withThread(c, find(c), (thread) => {
      const lastId = c.req.header("last-event-id");
      if (lastId !== undefined) state.lastEventIds.push(lastId);
      const after = Number(lastId ?? c.req.query("after") ?? 0);
      if (c.req.header("accept") !== "text/event-stream") return c.json(page(thread.log.slice(after)));
      return streamEvents(c, thread, after, aborts);
    }),
  );
  app.post("/v1/threads/:id/messages", async (c) => {
    const body = (await c.req.json()) as { text: string; idempotencyKey: string };
    state.sends.push(body);
    return withThread(c, find(c), (thread) => {
      thread.accept(body.text, body.idempotencyKey);
      if (state.loseAnswers > 0) {
        state.loseAnswers--;
        return problem(c, 503, "The answer was lost.");
      }
      return c.json({}, 202);
    });
  });
  app.post("/v1/threads/:id/:change{pause|resume|cancel}", async (c) => {
    const { reason = "" } = (await c.req.json()) as { reason?: string };
    return withThread(c, find(c), (thread) => {
      const change = c.req.param("change");
      thread.halted = change === "pause" ? "paused" : change === "cancel" ? "cancelled" : null;
      const actor = { kind: "system" as const, name: "Ada" };
      if (change === "resume") thread.append({ type: "resumed", data: {}, actor });
      else thread.append({ type: change === "pause" ? "paused" : "cancelled", data: { reason }, actor });
      return c.json(thread.view());
    });
  });
  app.post("/v1/threads/:id/fork", async (c) => {
    const { atSeq } = (await c.req.json()) as { atSeq: number };
    return withThread(c, find(c), (thread) => {
      const fork = new FakeThread(thread.view().title, nextId());
      fork.log.splice(0, fork.log.length, ...thread.log.slice(0, atSeq));
      state.threads.push(fork);
      return c.json(fork.view(), 201);
    });
  });
}

function withThread(
  c: Context,
  thread: FakeThread | undefined,
  answer: (thread: FakeThread) => Response | Promise<Response>,
): Response | Promise<Response> {
  return thread === undefined ? problem(c, 404, "There is no such thread.") : answer(thread);
}

function streamEvents(c: Context, thread: FakeThread, after: number, aborts: Set<() => void>): Response {
  return streamSSE(c, async (stream) => {
    const write = (signal: Signal) =>
      signal.kind === "partial"
        ? stream.writeSSE({ event: "partial", data: JSON.stringify({ text: signal.text }) })
        : stream.writeSSE({
            event: "event",
            id: String(signal.event.seq),
            data: JSON.stringify(signal.event),
          });
    await stream.writeSSE({ event: "ping", data: "{}" });
    for (const event of thread.log.slice(after)) await write({ kind: "event", event });
    const listener = (signal: Signal) => void write(signal);
    thread.listeners.add(listener);
    await new Promise<void>((resolve) => {
      aborts.add(resolve);
      stream.onAbort(resolve);
    });
    thread.listeners.delete(listener);
  });
}

function addApprovals(app: Hono, state: State): void {
  const all = () => state.threads.flatMap(({ approvals }) => approvals);
  const find = (c: Context) => all().find(({ id }) => id === c.req.param("id"));
  app.get("/v1/approvals", (c) => {
    const wanted = c.req.query("status");
    return c.json(page(all().filter(({ status }) => wanted === undefined || status === wanted)));
  });
  app.get("/v1/approvals/:id", (c) => {
    const approval = find(c);
    return approval === undefined ? problem(c, 404, "There is no such approval.") : c.json(approval);
  });
  app.post("/v1/approvals/:id/decision", async (c) => {
    const body = (await c.req.json()) as DecisionBody;
    state.decisions.push(body);
    const approval = find(c);
    const thread = state.threads.find(({ id }) => id === approval?.threadId);
    if (approval === undefined || thread === undefined) return problem(c, 404, "There is no such approval.");
    if (approval.status !== "pending") return problem(c, 409, `Already decided by ${approval.decidedBy}.`);
    await new Promise((resolve) => setTimeout(resolve, 60));
    thread.decide(approval, body);
    return c.json(approval);
  });
}

function addDeliveries(app: Hono, state: State): void {
  app.get("/v1/deliveries", (c) => {
    const wanted = c.req.query("status");
    return c.json(page(state.deliveries.filter(({ status }) => wanted === undefined || status === wanted)));
  });
  app.post("/v1/deliveries/:id/:action{retry|settle}", async (c) => {
    const body = (await c.req.json()) as { outcome?: "sent" | "failed"; note?: string };
    const delivery = state.deliveries.find(({ id }) => id === c.req.param("id"));
    if (delivery === undefined) return problem(c, 404, "There is no such delivery.");
    delivery.status = body.outcome ?? "pending";
    return c.json(delivery);
  });
}

const page = <T>(items: T[]): Page<T> => ({ items, next: null });

function problem(c: Context, status: 401 | 403 | 404 | 409 | 503, detail: string): Response {
  const body = { type: "about:blank", title: "Refused", status, detail };
  return c.json(body, status, { "content-type": "application/problem+json" });
}

const exampleStatus = (): StatusView => ({
  version: "0.1.0",
  model: { name: "stand-in", offline: true },
  agents: [
    {
      name: "deploybot",
      description: "Deploys services from a git repository, with approval for production.",
    },
    { name: "support", description: "Answers from your articles, refunds, and hands over when unsure." },
  ],
  channels: ["web", "slack", "discord", "email", "sms"].map((name) => ({ name, on: name === "web" })),
  database: "embedded",
  queue: "postgres",
  nextSteps: [
    { title: "Try the deploybot", text: "Start a thread and write: deploy backend v1.4.2 to production." },
    {
      title: "Give it a model",
      text: "Set OPENAI_API_KEY in .env and start again. Until then an offline stand-in answers.",
    },
    {
      title: "Connect a channel",
      text: "docs/slack.md, docs/discord.md, docs/email.md and docs/sms.md show how.",
    },
  ],
});

function exampleDeliveries(): DeliveryView[] {
  const at = new Date().toISOString();
  const base = {
    threadId: nextId(),
    kind: "reply" as const,
    nextAttemptAt: null,
    createdAt: at,
    updatedAt: at,
  };
  const binding = { channel: "slack", account: "T1", room: "C024BE91L", anchor: "1" };
  return [
    {
      ...base,
      id: nextId(),
      binding,
      status: "uncertain",
      attempts: 1,
      receipt: null,
      error: "The connection broke after the request was written.",
      content: { v: 1, text: "Deployed v1.4.2 to production." },
    },
    {
      ...base,
      id: nextId(),
      binding: { ...binding, channel: "email", room: "ops@example.org" },
      status: "failed",
      attempts: 5,
      receipt: null,
      error: "550 mailbox unavailable",
      content: { v: 1, text: "The refund of $20 was booked." },
    },
    {
      ...base,
      id: nextId(),
      binding,
      status: "sent",
      attempts: 1,
      receipt: "1732131.000200",
      error: null,
      content: { v: 1, text: "Hello Ada, which environment do you mean?" },
    },
  ];
}
