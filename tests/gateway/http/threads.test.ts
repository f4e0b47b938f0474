import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { z } from "zod";
import * as schemas from "../../../gateway/http/schemas.ts";
import { type Serving, serving } from "./serving.ts";

let s: Serving;
beforeAll(async () => {
  s = await serving();
});
afterAll(() => s.close());

const start = (body: Record<string, unknown> = {}) =>
  s.call("POST", "/v1/threads", { body: { input: "hello", ...body } });
const absent = "01900000-0000-7000-8000-000000000000";

describe("starting a thread", () => {
  it("stores the message, rings, and says where the thread is", async () => {
    const { status, body, headers } = await start({ input: "deploy it\nnow" });

    expect(status).toBe(201);
    expect(headers.get("location")).toBe(`/v1/threads/${body.id}`);
    expect(body).toMatchObject({ agent: "helper", status: "running", title: "deploy it", seq: 2 });
    expect(body.home).toMatchObject({ channel: "web", account: "local", room: "console" });
    expect(s.rung).toContain(body.id);
    const events = await s.call("GET", `/v1/threads/${body.id}/events`);
    expect(events.body.items.map((event: { type: string }) => event.type)).toEqual([
      "thread_started",
      "message_received",
    ]);
    expect(events.body.items[1].data.sender).toMatchObject({
      person: "admin",
      assurance: "session",
      kind: "human",
    });
  });

  it("gives one thread for a hundred identical requests at once", async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => start({ idempotencyKey: "once" })));

    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(99);
  });

  it("takes the idempotency key from the header as well", async () => {
    const headers = { "idempotency-key": "by header" };
    const first = await s.call("POST", "/v1/threads", { body: { input: "x" }, headers });
    const second = await s.call("POST", "/v1/threads", { body: { input: "x" }, headers });

    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.body.id).toBe(first.body.id);
  });

  it("does not swallow another message that comes with a used key", async () => {
    await start({ idempotencyKey: "mine" });

    expect((await start({ idempotencyKey: "mine", input: "something else" })).status).toBe(409);
  });

  it("keeps two people's keys apart", async () => {
    const ann = await s.tokenWith("threads:write");
    const mine = await start({ idempotencyKey: "shared" });
    const hers = await s.call("POST", "/v1/threads", {
      token: ann,
      body: { input: "hello", idempotencyKey: "shared" },
    });

    expect(hers.status).toBe(201);
    expect(hers.body.id).not.toBe(mine.body.id);
  });

  it("keeps the thread when the bell cannot be rung", async () => {
    const { doorbell } = s;
    const ring = doorbell.ringThread;
    doorbell.ringThread = async () => {
      throw new Error("queue away");
    };
    try {
      expect((await start()).status).toBe(201);
      expect(s.logged.some(({ event }) => event === "doorbell_failed")).toBe(true);
    } finally {
      doorbell.ringThread = ring;
    }
  });

  it.each([
    ["an unknown agent", { agent: "nobody" }, "body.agent"],
    [
      "a channel that is off",
      { replyTo: { channel: "slack", account: "a", room: "r", anchor: "" } },
      "body.replyTo.channel",
    ],
    [
      "a channel that does not exist",
      { replyTo: { channel: "fax", account: "a", room: "r", anchor: "" } },
      "body.replyTo.channel",
    ],
    ["a member that nobody knows", { inptu: "typo" }, "body"],
    ["no text", { input: undefined }, "body.input"],
  ])("refuses %s with 400 and names the member", async (_, body, path) => {
    const answer = await start(body);

    expect(answer.status).toBe(400);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body.errors[0].path).toBe(path);
  });

  it("sends the answer where replyTo says", async () => {
    const replyTo = { channel: "web", account: "local", room: "console", anchor: "elsewhere" };
    const { body } = await start({ replyTo });
    const state = await s.call("GET", `/v1/threads/${body.id}/state`);

    expect(state.body.latest.via).toEqual(replyTo);
  });

  it("refuses whom the gate does not hear", async () => {
    const { secret } = await s.tokens.create({
      name: "m",
      person: "mallory",
      scopes: ["threads:write"],
      expiresAt: null,
    });
    const answer = await s.call("POST", "/v1/threads", { token: secret, body: { input: "hi" } });

    expect(answer.status).toBe(403);
    expect(answer.body.detail).toBe("Mallory is not heard.");
  });
});

describe("text", () => {
  it("is refused when it is too long, and nothing is stored", async () => {
    const before = (await s.call("GET", "/v1/threads?limit=200")).body.items.length;
    const answer = await start({ input: "x".repeat(1_001) });

    expect(answer.status).toBe(413);
    expect(answer.body.detail).toContain("1001");
    expect((await s.call("GET", "/v1/threads?limit=200")).body.items).toHaveLength(before);
  });

  it("is refused when there is none", async () => {
    expect((await start({ input: " \n\0 " })).status).toBe(400);
  });

  it("is stored well-formed, without NUL, and with everything else as it was", async () => {
    const { body } = await start({ input: "a\0b \ud800 \u202e 👩‍🚀 \\u0000" });
    const state = await s.call("GET", `/v1/threads/${body.id}/state`);

    expect(state.body.transcript[0].text).toBe("ab \ufffd \u202e 👩‍🚀 \\u0000");
  });
});

describe("writing into a thread", () => {
  it("appends the message once for each key", async () => {
    const { body: thread } = await start();
    const path = `/v1/threads/${thread.id}/messages`;
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        s.call("POST", path, { body: { text: "and?", idempotencyKey: "m1" } }),
      ),
    );

    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect((await s.call("GET", `/v1/threads/${thread.id}`)).body.seq).toBe(3);
  });

  it("is 404 for a thread that does not exist", async () => {
    expect((await s.call("POST", `/v1/threads/${absent}/messages`, { body: { text: "x" } })).status).toBe(
      404,
    );
    expect((await s.call("POST", "/v1/threads/not-a-uuid/messages", { body: { text: "x" } })).status).toBe(
      404,
    );
  });
});

describe("pausing, resuming and cancelling", () => {
  it("are recorded once however often they are asked for", async () => {
    const { body: thread } = await start();
    const path = `/v1/threads/${thread.id}`;

    expect((await s.call("POST", `${path}/pause`)).body.status).toBe("paused");
    expect((await s.call("POST", `${path}/pause`, { body: { reason: "again" } })).body.seq).toBe(3);
    expect((await s.call("POST", `${path}/resume`)).body.status).toBe("running");
    expect((await s.call("POST", `${path}/resume`)).body.seq).toBe(4);
    expect((await s.call("POST", `${path}/cancel`, { body: { reason: "enough" } })).body.status).toBe(
      "cancelled",
    );
    expect((await s.call("POST", `${path}/cancel`)).body.seq).toBe(5);
    expect((await s.call("POST", `${path}/resume`)).status).toBe(409);
    const { body } = await s.call("GET", `${path}/events`);
    expect(body.items.at(-1)).toMatchObject({ type: "cancelled", data: { reason: "enough" } });
  });
});

describe("pages", () => {
  it("show each thread once while others are added and the list is read", async () => {
    const before: string[] = [];
    for (let index = 0; index < 7; index++) before.push((await start({ input: `page ${index}` })).body.id);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? "" : `&cursor=${cursor}`;
      const { body } = await s.call("GET", `/v1/threads?limit=3${query}`);
      seen.push(...body.items.map((thread: { id: string }) => thread.id));
      cursor = body.next;
      await start({ input: "meanwhile" });
    } while (cursor !== null);

    expect(new Set(seen).size).toBe(seen.length);
    expect(before.filter((id) => !seen.includes(id))).toEqual([]);
  });

  it("of events go on behind the cursor, and behind `after`", async () => {
    const { body: thread } = await start();
    for (const text of ["two", "three"]) {
      await s.call("POST", `/v1/threads/${thread.id}/messages`, { body: { text } });
    }
    const first = await s.call("GET", `/v1/threads/${thread.id}/events?limit=3`);
    const second = await s.call("GET", `/v1/threads/${thread.id}/events?limit=3&cursor=${first.body.next}`);
    const after = await s.call("GET", `/v1/threads/${thread.id}/events?after=3`);

    expect(first.body.items.map((event: { seq: number }) => event.seq)).toEqual([1, 2, 3]);
    expect(second.body).toMatchObject({ items: [{ seq: 4 }], next: null });
    expect(after.body.items).toEqual(second.body.items);
  });

  it.each([
    "cursor=nonsense",
    "cursor=WzEsMl0",
    "limit=0",
    "limit=201",
    "limit=x",
    "nope=1",
    "status=odd",
    "limit=1&limit=2",
  ])("refuse ?%s with 400", async (query) => {
    expect((await s.call("GET", `/v1/threads?${query}`)).status).toBe(400);
  });
});

describe("model calls and prompts", () => {
  it("are empty for a thread without calls and 404 without a thread", async () => {
    const { body: thread } = await start();

    expect((await s.call("GET", `/v1/threads/${thread.id}/model-calls`)).body).toEqual({
      items: [],
      next: null,
    });
    expect((await s.call("GET", `/v1/threads/${absent}/model-calls`)).status).toBe(404);
    expect((await s.call("GET", `/v1/threads/${thread.id}/steps/${absent}/prompt`)).status).toBe(404);
  });
});

describe("forking", () => {
  const fork = (threadId: string, body: object) => s.call("POST", `/v1/threads/${threadId}/fork`, { body });

  it("makes a thread of its own from the first events, and rings it when there is something to decide", async () => {
    const { body: thread } = await start({ input: "one" });
    await s.call("POST", `/v1/threads/${thread.id}/messages`, { body: { text: "two" } });
    const { status, body, headers } = await fork(thread.id, { atSeq: 2 });

    expect([status, body.seq, body.title]).toEqual([201, 2, "one"]);
    expect(body.id).not.toBe(thread.id);
    expect(headers.get("location")).toBe(`/v1/threads/${body.id}`);
    expect(s.rung).toContain(body.id);
  });

  it("gives the same fork for the same key, and refuses the key for another one", async () => {
    const { body: thread } = await start();
    const first = await fork(thread.id, { atSeq: 2, idempotencyKey: "f" });
    const second = await fork(thread.id, { atSeq: 2, idempotencyKey: "f" });

    expect([second.status, second.body.id]).toEqual([200, first.body.id]);
    expect((await fork(thread.id, { atSeq: 1, idempotencyKey: "f" })).status).toBe(409);
  });

  it.each([
    [{ atSeq: 0 }, 400],
    [{ atSeq: 3 }, 400],
    [{ atSeq: 1.5 }, 400],
    [{}, 400],
  ])("answers %o with %d", async (body, status) => {
    expect((await fork((await start()).body.id, body)).status).toBe(status);
  });

  it("is 404 for a thread that does not exist", async () => {
    expect((await fork(absent, { atSeq: 1 })).status).toBe(404);
  });
});

it("answers in the shapes that its description promises", async () => {
  const { body: thread } = await start();
  const shapes: [string, z.ZodType][] = [
    [`/v1/threads/${thread.id}`, schemas.threadView],
    ["/v1/threads", schemas.pageOf(schemas.threadView)],
    [`/v1/threads/${thread.id}/events`, schemas.pageOf(schemas.eventView)],
    [`/v1/threads/${thread.id}/state`, schemas.threadState],
    [`/v1/threads/${thread.id}/model-calls`, schemas.pageOf(schemas.modelCallView)],
    ["/v1/approvals", schemas.pageOf(schemas.approvalView)],
    ["/v1/deliveries", schemas.pageOf(schemas.deliveryView)],
    ["/v1/tokens", schemas.pageOf(schemas.tokenView)],
    ["/v1/session", schemas.sessionView],
    ["/v1/status", schemas.statusView],
    ["/healthz", schemas.healthView],
    ["/readyz", schemas.readinessView],
    ["/v1/threads/x", schemas.problemView],
  ];
  for (const [path, shape] of shapes) {
    const { body } = await s.call("GET", path);
    expect([path, shape.safeParse(body).error?.issues ?? []]).toEqual([path, []]);
  }
});
