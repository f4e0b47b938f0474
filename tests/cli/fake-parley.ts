/**
 * A small real HTTP server that speaks the API as far as the commands use it, with one scripted agent: it proposes `deploy`
 * for messages that begin with "deploy", waits for the decision, and answers everything else with an echo. Its log holds
 * real events, so that what commands fold is what a server would send.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { EventOf, EventType, NewEvent, ThreadEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import type { JsonObject } from "../../core/json.ts";
import { threadStatus, waitingFor } from "../../core/thread.ts";
import type { Sender } from "../../core/words.ts";

export const token = "test-token";
const at = "2026-01-31T12:00:00.000Z";
const home = { channel: "web", account: "", room: "t", anchor: "" };
const sender: Sender = {
  channel: "web",
  account: "",
  identity: "admin",
  name: "Admin",
  kind: "human",
  assurance: "session",
  person: "admin",
};

interface FakeApproval {
  id: string;
  threadId: string;
  code: string;
  args: JsonObject;
  status: string;
}

export interface FakeParley {
  url: string;
  threads: Map<string, ThreadEvent[]>;
  approvals: FakeApproval[];
  requests: { method: string; path: string; body: JsonObject }[];
  /** Drops all event streams, as a restarting server does. */
  dropStreams(): void;
  /** Arguments that the next proposal has. */
  proposal: JsonObject;
  /** Makes the state that the server reports differ from its log. */
  wrongState: boolean;
}

export async function startFakeParley(): Promise<FakeParley> {
  const streams = new Set<{ threadId: string; response: ServerResponse }>();
  const fake: FakeParley = {
    url: "",
    threads: new Map(),
    approvals: [],
    requests: [],
    proposal: { service: "backend", tag: "v1.4.2" },
    wrongState: false,
    dropStreams() {
      for (const { response } of streams) response.destroy();
      streams.clear();
    },
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => problem(response, 500, String(error)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(() => {
    fake.dropStreams();
    server.closeAllConnections();
    server.close();
  });

  function log(threadId: string): ThreadEvent[] {
    const events = fake.threads.get(threadId) ?? [];
    fake.threads.set(threadId, events);
    return events;
  }

  function append<T extends EventType>(threadId: string, type: T, data: EventOf<T>): void {
    const events = log(threadId);
    const actor: NewEvent["actor"] = { kind: "system", name: "test" };
    const event = { type, data, actor, seq: events.length + 1, v: 1, at } as ThreadEvent;
    events.push(event);
    for (const stream of streams) if (stream.threadId === threadId) write(stream.response, event);
  }

  function say(threadId: string, text: string): void {
    append(threadId, "message_received", {
      messageId: "m",
      text,
      sender,
      attachments: [],
      via: home,
      correlationId: "c",
    });
    const basisSeq = log(threadId).length;
    const runId = `run-${basisSeq}`;
    if (fold(log(threadId)).run === null) append(threadId, "run_started", { runId, correlationId: "c" });
    setTimeout(() => decide(threadId, text, basisSeq), 20);
  }

  function decide(threadId: string, text: string, basisSeq: number): void {
    const runId = fold(log(threadId)).run?.runId ?? "";
    const step = {
      stepId: `step-${basisSeq}`,
      runId,
      basisSeq,
      reasoning: "because",
      confidence: 0.9,
      usage: null,
    };
    if (!text.startsWith("deploy")) {
      append(threadId, "step_decided", { ...step, decision: { type: "reply", text } });
      for (const stream of streams) {
        if (stream.threadId === threadId) stream.response.write('event: partial\ndata: {"text":"You"}\n\n');
      }
      finish(threadId, `You said: ${text}`);
      return;
    }
    const number = fake.approvals.length + 1;
    const call = { callId: `call-${number}`, tool: "deploy", args: fake.proposal, subject: "backend" };
    const decision = {
      type: "call",
      calls: [{ ...call, effect: "once", approvalPolicy: "deploys" }],
    } as const;
    append(threadId, "step_decided", { ...step, decision: { ...decision, calls: [...decision.calls] } });
    const approval = {
      id: `approval-${number}`,
      threadId,
      code: `CODE0${number}`,
      args: fake.proposal,
      status: "pending",
    };
    fake.approvals.push(approval);
    append(threadId, "approval_requested", {
      approvalId: approval.id,
      callId: call.callId,
      digest: "0123456789abcdef",
      code: approval.code,
      tool: "deploy",
      args: fake.proposal,
      policy: "deploys",
      policyVersion: "1",
      expiresAt: null,
    });
  }

  function finish(threadId: string, text: string): void {
    const { unanswered, run } = fold(log(threadId));
    const runId = run?.runId ?? "";
    const answers = unanswered.map(({ seq }) => seq);
    append(threadId, "reply_committed", { runId, outboxId: "o", text, answers });
    append(threadId, "run_ended", { runId, outcome: "replied" });
  }

  function settle(approval: FakeApproval, body: JsonObject): void {
    const verdict = body.verdict as "approve" | "reject" | "edit" | "ask_back";
    const args = verdict === "edit" ? (body.args as JsonObject) : null;
    const reason = typeof body.reason === "string" ? body.reason : null;
    if (verdict !== "ask_back") approval.status = verdict === "reject" ? "rejected" : "approved";
    const facts = { approvalId: approval.id, verdict, sender, reason, args, digest: "d", final: true };
    append(approval.threadId, "approval_decided", facts);
    if (verdict === "ask_back") return;
    const basisSeq = log(approval.threadId).length;
    setTimeout(() => {
      if (verdict !== "reject") {
        const callId = `call-${approval.id.slice("approval-".length)}`;
        const started = { callId, attempt: 1, idempotencyKey: "k", approvalId: approval.id };
        append(approval.threadId, "tool_started", started);
        append(approval.threadId, "tool_finished", { callId, result: "ok", durationMs: 5 });
      }
      const runId = fold(log(approval.threadId)).run?.runId ?? "";
      const seen = verdict === "reject" ? basisSeq : log(approval.threadId).length;
      const step = {
        stepId: `step-${seen}`,
        runId,
        basisSeq: seen,
        reasoning: "",
        confidence: 1,
        usage: null,
      };
      append(approval.threadId, "step_decided", { ...step, decision: { type: "reply", text: "" } });
      finish(
        approval.threadId,
        verdict === "reject"
          ? `Not deployed: ${reason}`
          : `Deployed ${JSON.stringify(args ?? approval.args)}`,
      );
    }, 20);
  }

  function threadView(id: string): JsonObject {
    const events = log(id);
    const state = fold(events);
    const title =
      events.flatMap((event) => (event.type === "message_received" ? [event.data.text] : []))[0] ?? "";
    const spend = { tokens: 0, usd: 0 };
    const base = {
      id,
      agent: state.agent,
      title,
      home,
      seq: events.length,
      spend,
      createdAt: at,
      updatedAt: at,
    };
    return { ...base, status: threadStatus(state), waitingFor: waitingFor(state) };
  }

  const approvalView = ({ id, threadId, code, args, status }: FakeApproval): JsonObject => ({
    ...{ id, threadId, code, args, status, agent: "deploybot", tool: "deploy", summary: null },
    ...{
      digest: "0123456789abcdef",
      shortDigest: "0123456789ab",
      policy: "deploys",
      quorum: 1,
      approvedBy: [],
    },
    ...{
      requesters: ["admin"],
      decidedBy: null,
      decidedAt: null,
      reason: null,
      expiresAt: null,
      createdAt: at,
    },
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", fake.url);
    const text = (await request.toArray()).join("");
    const body = text === "" ? {} : (JSON.parse(text) as JsonObject);
    fake.requests.push({ method: request.method ?? "", path: url.pathname + url.search, body });
    if (request.headers.authorization !== `Bearer ${token}`)
      return problem(response, 401, "You are not signed in.");
    const [, , kind, id = "", verb] = url.pathname.split("/");
    if (kind === "status") {
      return json(response, { version: "1", model: { name: "offline stand-in", offline: true }, agents: [] });
    }
    if (kind === "threads") return handleThread({ request, response, url, body, id, verb });
    if (kind === "approvals" && id === "") {
      const status = url.searchParams.get("status");
      const items = fake.approvals
        .filter((each) => status === null || each.status === status)
        .map(approvalView);
      const from = Number(url.searchParams.get("cursor") ?? 0);
      // Two a page, so that lists have to be read to their end.
      return json(response, {
        items: items.slice(from, from + 2),
        next: items.length > from + 2 ? String(from + 2) : null,
      });
    }
    if (kind === "approvals") {
      const approval = fake.approvals.find((each) => each.id === id);
      if (approval === undefined) return problem(response, 404, "There is no such approval.");
      if (approval.status !== "pending") return problem(response, 409, "Already decided by Bob: rejected.");
      settle(approval, body);
      return json(response, approvalView(approval));
    }
    if (kind === "deliveries" && id === "") return json(response, { items: [delivery], next: null });
    if (kind === "deliveries") return json(response, delivery);
    problem(response, 404, "There is nothing here.");
  }

  async function handleThread(asked: {
    request: IncomingMessage;
    response: ServerResponse;
    url: URL;
    body: JsonObject;
    id: string;
    verb: string | undefined;
  }): Promise<void> {
    const { request, response, url, body, id, verb } = asked;
    if (id === "" && request.method === "POST") {
      const threadId = `thread-${fake.threads.size + 1}`;
      append(threadId, "thread_started", { agent: "deploybot", home });
      say(threadId, String(body.input));
      return json(response, threadView(threadId));
    }
    if (id === "") return json(response, { items: [...fake.threads.keys()].map(threadView), next: null });
    if (!fake.threads.has(id)) return problem(response, 404, "There is no such thread.");
    if (verb === "events") return events(request, response, url, id);
    if (verb === "state") {
      const state = fold(log(id));
      return json(response, fake.wrongState ? { ...state, errorsInRow: 7 } : state);
    }
    if (verb === "steps") {
      return json(response, {
        ...{ stepId: "s", model: "m", promptVersion: "v1", promptHash: "h" },
        messages: [{ role: "system", content: "Be kind.\u202e" }],
      });
    }
    if (verb === "messages") say(id, String(body.text));
    if (verb === "pause") append(id, "paused", { reason: String(body.reason ?? "") });
    json(response, threadView(id));
  }

  function events(request: IncomingMessage, response: ServerResponse, url: URL, id: string): void {
    const after = Number(url.searchParams.get("after") ?? 0);
    const later = log(id).filter(({ seq }) => seq > after);
    if (request.headers.accept !== "text/event-stream") {
      const limit = Number(url.searchParams.get("limit") ?? 100);
      json(response, { items: later.slice(0, limit), next: null });
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("retry: 2000\n\n");
    for (const event of later) write(response, event);
    const stream = { threadId: id, response };
    streams.add(stream);
    response.on("close", () => streams.delete(stream));
  }

  return fake;
}

const delivery = {
  ...{ id: "d1", threadId: "t1", kind: "reply", binding: home, status: "uncertain", attempts: 3 },
  ...{ nextAttemptAt: null, error: "broke off", receipt: null, content: {}, createdAt: at, updatedAt: at },
};

const write = (response: ServerResponse, event: ThreadEvent): void => {
  response.write(`id: ${event.seq}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`);
};

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function problem(response: ServerResponse, status: number, detail: string): void {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ type: "about:blank", title: "Refused", status, detail }));
}
