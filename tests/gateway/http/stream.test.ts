import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Listener } from "../../../gateway/http/listener.ts";
import { createStreams } from "../../../gateway/http/stream.ts";
import { createWatch } from "../../../gateway/http/watch.ts";
import { newThread } from "./seeding.ts";
import { directLive, type Serving, serving } from "./serving.ts";

let s: Serving;
let listener: Listener;
let queries: string[][];
beforeAll(async () => {
  s = await serving({ limits: { bodyBytes: 20_000, messageCharacters: 1_000, streams: 3 } });
  listener = await s.http.listen({ host: "127.0.0.1", port: 0 });
  const { versions } = s.listing;
  s.listing.versions = (threadIds) => {
    queries?.push([...threadIds]);
    return versions(threadIds);
  };
});
afterAll(async () => {
  await listener.close(500);
  await s.close();
});

let stops: AbortController[];
beforeEach(() => {
  stops = [];
  queries = [];
});
afterEach(async () => {
  for (const stop of stops) stop.abort();
  await until(() => s.streams.at(-1) === 0 || s.streams.length === 0);
});

async function until(holds: () => boolean, withinMs = 5_000): Promise<void> {
  const deadlineMs = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > deadlineMs) throw new Error("it did not come true in time");
    await sleep(10);
  }
}

interface Frame {
  id: string | undefined;
  event: string | undefined;
  data: string | undefined;
}

/** Opens a stream and collects its frames until it ends. */
async function open(
  threadId: string,
  options: { after?: number; lastEventId?: string; token?: string } = {},
) {
  const stop = new AbortController();
  stops.push(stop);
  const response = await fetch(`${listener.url}/v1/threads/${threadId}/events?after=${options.after ?? 0}`, {
    signal: stop.signal,
    headers: {
      accept: "text/event-stream",
      authorization: `Bearer ${options.token ?? s.admin}`,
      ...(options.lastEventId === undefined ? {} : { "last-event-id": options.lastEventId }),
    },
  });
  const frames: Frame[] = [];
  const ended = read(response, frames).catch(() => {});
  return {
    response,
    frames,
    stop,
    ended,
    of: (event: string) => frames.filter((frame) => frame.event === event),
  };
}

async function read(response: Response, frames: Frame[]): Promise<void> {
  let rest = "";
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(part)?.[1];
      frames.push({ id: field("id"), event: field("event"), data: field("data") });
    }
  }
}

const say = (threadId: string, text: string) =>
  s.call("POST", `/v1/threads/${threadId}/messages`, { body: { text } });

it("brings what is there and then what comes, in order, once, with positions as ids", async () => {
  const threadId = await newThread(s.log);
  const stream = await open(threadId);
  expect(stream.response.headers.get("content-type")).toContain("text/event-stream");
  await until(() => stream.of("event").length === 2);
  for (let index = 0; index < 5; index++) await say(threadId, `more ${index}`);
  await until(() => stream.of("event").length === 7);

  expect(stream.of("event").map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
  expect(JSON.parse(stream.of("event")[6]?.data ?? "")).toMatchObject({ seq: 7, data: { text: "more 4" } });
});

it("catches up over many pages", async () => {
  const threadId = await newThread(s.log);
  await s.db.database.run({
    text: `with moved as (update threads set version = version + 450 where id = $1)
           insert into events (thread_id, seq, type, v, data, actor)
           select $1, 2 + n, 'resumed', 1, '{}', '{"kind":"system","name":"t"}' from generate_series(1, 450) n`,
    values: [threadId],
  });
  const stream = await open(threadId);
  await until(() => stream.of("event").length === 452);

  expect(stream.of("event").map(({ id }) => Number(id))).toEqual(
    Array.from({ length: 452 }, (_, index) => index + 1),
  );
});

it("goes on behind Last-Event-ID, which counts before the address of a reconnecting browser", async () => {
  const threadId = await newThread(s.log);
  await say(threadId, "third");
  const stream = await open(threadId, { after: 1, lastEventId: "2" });
  await until(() => stream.of("event").length === 1);

  expect(stream.of("event")[0]?.id).toBe("3");
});

it("finds within about a second what no live signal told of", async () => {
  const threadId = await newThread(s.log);
  const stream = await open(threadId);
  await until(() => stream.of("event").length === 2);
  await s.log.accept({
    target: { threadId },
    dedupe: { channel: "web", account: "x", key: `quiet-${threadId}` },
    event: { type: "resumed", data: {}, actor: { kind: "system", name: "test" } },
  });

  await until(() => stream.of("event").length === 3, 2_500);
});

it("asks for all watched threads with one statement", async () => {
  const [one, two] = [await newThread(s.log), await newThread(s.log)];
  await Promise.all([open(one), open(two), open(one)]);
  queries = [];
  await until(() => queries.length >= 2);

  expect(queries.at(-1)?.sort()).toEqual([one, two].sort());
});

it("passes partial replies on, the newest first where the reader is slow", async () => {
  const threadId = await newThread(s.log);
  const stream = await open(threadId);
  await until(() => stream.of("event").length === 2);
  s.live.publish({ threadId, kind: "partial", text: "Hel" });
  s.live.publish({ threadId, kind: "partial", text: "Hello" });
  await until(() => stream.of("partial").some(({ data }) => data === '{"text":"Hello"}'));

  expect(stream.of("partial").every(({ id }) => id === undefined)).toBe(true);
});

it("opens no more streams than allowed, and takes new ones once others are gone", async () => {
  const threadId = await newThread(s.log);
  const streams = await Promise.all([open(threadId), open(threadId), open(threadId)]);
  const refused = await open(threadId);
  expect(refused.response.status).toBe(503);
  expect(refused.response.headers.get("retry-after")).toBe("10");
  streams[0]?.stop.abort();
  await until(() => s.streams.at(-1) === 2);

  expect((await open(threadId)).response.status).toBe(200);
});

it("is 404 for a thread that does not exist, and 403 without the scope", async () => {
  expect((await open("01900000-0000-7000-8000-000000000000")).response.status).toBe(404);
  const token = await s.tokenWith("metrics");
  expect((await open(await newThread(s.log), { token })).response.status).toBe(403);
});

it("pings, and ends when the caller may no longer read", async () => {
  const threadId = await newThread(s.log);
  const watch = createWatch({ live: directLive(), listing: s.listing, logger: s.logger });
  const streams = createStreams({
    listing: s.listing,
    watch,
    logger: s.logger,
    most: 1,
    onCount: () => {},
    pingMs: 40,
  });
  let asked = 0;
  const response = streams.open({
    threadId,
    after: 0,
    signal: new AbortController().signal,
    stillAllowed: async () => ++asked < 3,
  });
  const frames: Frame[] = [];
  await read(response, frames);
  watch.close();

  expect(frames.filter(({ event }) => event === "ping")).toHaveLength(2);
});

it("lets a reader go that takes nothing, and holds at most what it was sent", async () => {
  const threadId = await newThread(s.log);
  const watch = createWatch({ live: directLive(), listing: s.listing, logger: s.logger });
  let open = 0;
  const streams = createStreams({
    listing: s.listing,
    watch,
    logger: s.logger,
    most: 1,
    onCount: (count) => {
      open = count;
    },
    stallMs: 50,
  });
  const response = streams.open({
    threadId,
    after: 0,
    signal: new AbortController().signal,
    stillAllowed: async () => true,
  });
  expect(open).toBe(1);
  await until(() => open === 0, 2_000);
  watch.close();

  expect(s.logged.some(({ event }) => event === "stream_stalled")).toBe(true);
  await expect(response.text()).rejects.toThrow();
});

it("ends open streams when the server closes, within the time it was given", async () => {
  const other = await serving();
  const own = await other.http.listen({ host: "127.0.0.1", port: 0 });
  const threadId = await newThread(other.log);
  const response = await fetch(`${own.url}/v1/threads/${threadId}/events`, {
    headers: { accept: "text/event-stream", authorization: `Bearer ${other.admin}` },
  });
  const text = response.text();
  const startedMs = Date.now();
  await own.close(3_000);

  expect(Date.now() - startedMs).toBeLessThan(2_500);
  expect(await text).toContain("event: event");
  await other.close();
});
