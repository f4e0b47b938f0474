import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAiModel } from "../../../agents/model/openai.ts";
import { ModelError } from "../../../core/errors.ts";
import type { ModelRequest } from "../../../core/ports.ts";
import {
  begin,
  type ChatServer,
  contentChunk,
  jsonError,
  pieces,
  replyJson,
  startChatServer,
  streamed,
} from "./chat-server.ts";

const key = "sk-test-0123456789";
const request: ModelRequest = {
  agent: "demo",
  messages: [
    { role: "system", content: "You are a demo." },
    { role: "user", content: "Hello there" },
  ],
  schema: { type: "object", properties: {}, required: [], additionalProperties: false },
  schemaName: "demo_step",
  maxOutputTokens: 500,
  context: null,
};
const usage = { prompt_tokens: 1_000, completion_tokens: 100 };
const answered = streamed({ deltas: pieces(replyJson("Hi")), usage });

let server: ChatServer;
beforeAll(async () => {
  server = await startChatServer();
});
afterAll(() => server.stop());

const model = (options: { idleTimeoutMs?: number; baseUrl?: string; model?: string } = {}) =>
  openAiModel({ name: "main", model: "gpt-4o-mini", apiKey: key, baseUrl: server.baseUrl, ...options });

const never = new AbortController().signal;

async function decide(
  asked = model(),
  options: { timeoutMs?: number; signal?: AbortSignal; onPartial?: (text: string) => void } = {},
) {
  return asked.decide(request, { signal: never, timeoutMs: 5_000, ...options });
}

async function failure(...parameters: Parameters<typeof decide>): Promise<ModelError> {
  const error = await decide(...parameters).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ModelError);
  return error as ModelError;
}

describe("an answer", () => {
  it("is parsed, with the provider's usage, the price and the latency", async () => {
    server.behave(answered);
    const answer = await decide();
    expect(answer).toMatchObject({
      output: { step: { intent: "reply", text: "Hi" } },
      model: "gpt-4o-mini",
      inputTokens: 1_000,
      outputTokens: 100,
    });
    expect(answer.costUsd).toBeCloseTo((1_000 * 0.15 + 100 * 0.6) / 1_000_000, 10);
    expect(answer.latencyMs).toBeGreaterThan(0);
  });

  it("is asked for with the strict schema, the usage and the token limit", async () => {
    server.behave(answered);
    await decide();
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]!.headers.authorization).toBe(`Bearer ${key}`);
    expect(server.requests[0]!.body).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 500,
      response_format: {
        type: "json_schema",
        json_schema: { name: "demo_step", strict: true, schema: request.schema },
      },
    });
  });

  it("shows the growing reply and ends with the whole of it", async () => {
    const text = 'He said: "wait" \\ then 😀 left\nbye';
    server.behave(streamed({ deltas: pieces(replyJson(text), 1), usage }));
    const shown: string[] = [];
    await decide(model(), { onPartial: (partial) => shown.push(partial) });
    expect(shown.length).toBeGreaterThan(10);
    expect(shown.at(-1)).toBe(text);
    for (const partial of shown) expect(text.startsWith(partial)).toBe(true);
  });

  it("survives somebody who cannot bear to watch it", async () => {
    server.behave(answered);
    const onPartial = () => {
      throw new Error("the window closed");
    };
    expect((await decide(model(), { onPartial })).output).toMatchObject({ step: { text: "Hi" } });
  });

  it("is counted here when the provider does not count", async () => {
    server.behave(streamed({ deltas: pieces(replyJson("Say <|endoftext|> aloud")) }));
    const answer = await decide(model({ model: "unheard-of" }));
    expect(answer.inputTokens).toBeGreaterThan(4);
    expect(answer.inputTokens).toBeLessThan(20);
    expect(answer.outputTokens).toBeGreaterThan(15);
    expect(answer.costUsd).toBeNull();
  });

  it("is kept when the connection breaks after the finish reason", async () => {
    server.behave((response) => {
      begin(response).write(contentChunk(replyJson("Hi")));
      response.write('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', () =>
        setTimeout(() => response.destroy(), 30),
      );
    });
    const answer = await decide();
    expect(answer.output).toMatchObject({ step: { text: "Hi" } });
    expect(answer.outputTokens).toBeGreaterThan(0);
  });

  it("never takes its endpoint, key or log level from the environment", async () => {
    const before = { ...process.env };
    const lines: unknown[] = [];
    const { debug, info } = console;
    console.debug = console.info = (...line: unknown[]) => lines.push(line);
    Object.assign(process.env, {
      OPENAI_LOG: "debug",
      OPENAI_ORG_ID: "org-other",
      OPENAI_PROJECT_ID: "other",
    });
    try {
      server.behave(answered);
      await decide();
    } finally {
      Object.assign(console, { debug, info });
      process.env = before;
    }
    expect(lines).toEqual([]);
    expect(server.requests[0]!.headers).not.toHaveProperty("openai-organization");
    expect(server.requests[0]!.headers).not.toHaveProperty("openai-project");
  });
});

describe("an answer that is none", () => {
  it("is a refusal when the model refuses, with the tokens that it cost", async () => {
    server.behave(streamed({ deltas: [{ refusal: "I can't " }, { refusal: "do that" }], usage }));
    const error = await failure();
    expect(error).toMatchObject({ kind: "refusal", retryable: false });
    expect(error.usage).toMatchObject({ inputTokens: 1_000, outputTokens: 100 });
    expect(error.usage?.costUsd).toBeGreaterThan(0);
    expect(error.message).not.toContain("can't");
  });

  it.each([
    ["length", "length"],
    ["content_filter", "content_filter"],
  ])("is %s when the provider finishes by %s", async (kind, finish) => {
    server.behave(streamed({ deltas: [{ content: '{"step": {"int' }], finish, usage }));
    expect(await failure()).toMatchObject({ kind, retryable: false, usage: { outputTokens: 100 } });
  });

  it("is invalid output when it is not JSON, and the log line does not repeat it", async () => {
    server.behave(streamed({ deltas: [{ content: "my password is hunter2" }], usage }));
    const error = await failure();
    expect(error).toMatchObject({ kind: "invalid_output", retryable: true });
    expect(error.message).not.toContain("hunter2");
    expect(error.cause).toBeUndefined();
  });

  it("is invalid output when it does not come to an end", async () => {
    server.behave((response) => {
      begin(response);
      const piece = contentChunk("x".repeat(50_000));
      const more = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on("drain", more);
      more();
    });
    expect(await failure(model(), { timeoutMs: 20_000 })).toMatchObject({ kind: "invalid_output" });
  });

  it("is invalid output when one line of the stream does not come to an end", async () => {
    server.behave((response) => {
      begin(response).write("data: ");
      const piece = "x".repeat(1_000_000);
      const more = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on("drain", more);
      more();
    });
    expect(await failure(model(), { timeoutMs: 20_000 })).toMatchObject({ kind: "invalid_output" });
  });

  it("is invalid output when the stream holds no chunks", async () => {
    server.behave((response) => begin(response).end('data: {"choices": 7}\n\n'));
    expect(await failure()).toMatchObject({ kind: "invalid_output" });
  });
});

describe("a broken stream", () => {
  it("is one that is cut in the middle of the JSON, and what came so far is counted", async () => {
    server.behave((response) => {
      begin(response).write(contentChunk('{"step": {"intent": "reply", "te'), () =>
        setTimeout(() => response.destroy(), 30),
      );
    });
    const error = await failure();
    expect(error).toMatchObject({ kind: "broken_stream", retryable: true });
    expect(error.usage?.outputTokens).toBeGreaterThan(0);
  });

  it("is one that ends without a finish reason, even when its JSON is whole", async () => {
    server.behave(streamed({ deltas: [{ content: replyJson("Hi") }], finish: null }));
    expect(await failure()).toMatchObject({ kind: "broken_stream" });
  });

  it("is one whose events are not JSON", async () => {
    server.behave((response) => begin(response).end('data: {"choices": [\n\n'));
    expect(await failure()).toMatchObject({ kind: "broken_stream" });
  });

  it("is not one that reports an error: that keeps its own kind", async () => {
    const error = { error: { message: "overloaded", type: "server_error", code: "server_error" } };
    server.behave((response) => begin(response).end(`data: ${JSON.stringify(error)}\n\n`));
    expect(await failure()).toMatchObject({ kind: "server_error", retryable: true });
    server.behave((response) =>
      begin(response).end('data: {"error": {"message": "slow down", "code": 429}}\n\n'),
    );
    expect(await failure()).toMatchObject({ kind: "rate_limited" });
  });
});

describe("a limit of time", () => {
  it("ends a call that nobody answers", async () => {
    server.behave(() => {});
    const startedAt = performance.now();
    const error = await failure(model(), { timeoutMs: 150 });
    expect(error).toMatchObject({ kind: "timeout", retryable: true, usage: undefined });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it("ends a call whose answer trickles", async () => {
    server.behave((response) => {
      begin(response);
      const timer = setInterval(() => response.write(contentChunk(" ")), 20);
      response.on("close", () => clearInterval(timer));
    });
    const error = await failure(model({ idleTimeoutMs: 5_000 }), { timeoutMs: 300 });
    expect(error).toMatchObject({ kind: "timeout" });
    expect(error.message).toContain("300 ms");
  });

  it("ends a call that falls silent in the middle, long before the whole limit", async () => {
    server.behave((response) => begin(response).write(contentChunk('{"step"')));
    const startedAt = performance.now();
    const error = await failure(model({ idleTimeoutMs: 150 }), { timeoutMs: 60_000 });
    expect(error).toMatchObject({ kind: "timeout" });
    expect(error.message).toContain("silent");
    expect(error.usage?.outputTokens).toBeGreaterThan(0);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it("ends a call whose error body never ends", async () => {
    server.behave((response) => response.writeHead(500, { "content-type": "application/json" }).write("{"));
    expect(await failure(model(), { timeoutMs: 200 })).toMatchObject({ kind: "timeout" });
  });

  it("gives the caller's own reason back when the caller gives up, and closes the connection", async () => {
    const closed = Promise.withResolvers<void>();
    const controller = new AbortController();
    const reason = new Error("the worker stops");
    server.behave((response) => {
      begin(response).write(contentChunk('{"step"'));
      response.on("close", closed.resolve);
      setTimeout(() => controller.abort(reason), 50);
    });
    await expect(decide(model(), { signal: controller.signal })).rejects.toBe(reason);
    await closed.promise;
  });

  it("asks nothing when the caller has given up already", async () => {
    server.behave(answered);
    const reason = new Error("cancelled");
    await expect(decide(model(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.requests).toEqual([]);
  });
});

describe("a refused request", () => {
  it.each([
    [401, { message: `Incorrect API key provided: ${key}`, code: "invalid_api_key" }, "unauthorized", false],
    [403, { message: "Country not supported" }, "unauthorized", false],
    [404, { message: "no such model", code: "model_not_found" }, "bad_request", false],
    [400, { message: "bad temperature", param: "temperature" }, "bad_request", false],
    [400, { message: "too long", code: "context_length_exceeded" }, "context_length", false],
    [400, { message: "n_ctx", code: 400, type: "exceed_context_size_error" }, "context_length", false],
    [
      400,
      { message: "This model's maximum context length is 4096 tokens.", code: 400 },
      "context_length",
      false,
    ],
    [413, { message: "too large" }, "context_length", false],
    [413, { message: "tokens per minute", code: "rate_limit_exceeded" }, "rate_limited", true],
    [400, { message: "filtered", code: "content_filter" }, "content_filter", false],
    [408, { message: "slow" }, "timeout", true],
    [409, { message: "locked" }, "server_error", true],
    [429, { message: "slow down", code: "rate_limit_exceeded" }, "rate_limited", true],
    [429, { message: "no money", code: "insufficient_quota" }, "rate_limited", false],
    [500, { message: "oops" }, "server_error", true],
    [503, { message: "overloaded" }, "server_error", true],
  ])("with status %i and %o is %s", async (status, body, kind, retryable) => {
    server.behave(jsonError(status, body));
    const error = await failure();
    expect(error).toMatchObject({ kind, retryable, usage: undefined });
    expect(error.message).toContain(`HTTP ${status}`);
    expect(JSON.stringify([error.message, String(error.stack), error.cause ?? null])).not.toContain(key);
    expect(server.requests).toHaveLength(1);
  });

  it("is a server error when a proxy sends a page, and the page is not repeated", async () => {
    server.behave((response) =>
      response.writeHead(502, { "content-type": "text/html" }).end("<html><h1>Bad gateway</h1></html>"),
    );
    const error = await failure();
    expect(error).toMatchObject({ kind: "server_error", retryable: true });
    expect(error.message).not.toContain("<");
  });

  it.each([
    [{ "retry-after": "7" }, 7_000, 7_000],
    [{ "retry-after": "7", "retry-after-ms": "1500" }, 1_500, 1_500],
    [{ "retry-after": new Date(Date.now() + 60_000).toUTCString() }, 20_000, 60_000],
    [{ "retry-after": "Thu, 01 Jan 2015 00:00:00 GMT" }, 0, 0],
    [{ "retry-after": "99999999999" }, 86_400_000, 86_400_000],
  ] as [Record<string, string>, number, number][])(
    "says how long to wait: %o",
    async (headers, leastMs, mostMs) => {
      server.behave(jsonError(429, { message: "slow down" }, headers));
      const { retryAfterMs } = await failure();
      expect(retryAfterMs).toBeGreaterThanOrEqual(leastMs);
      expect(retryAfterMs).toBeLessThanOrEqual(mostMs);
    },
  );

  it("does not invent how long to wait", async () => {
    server.behave(jsonError(429, { message: "slow down" }, { "retry-after": "soon" }));
    expect((await failure()).retryAfterMs).toBeUndefined();
  });

  it("is unreachable when nobody listens", async () => {
    const other = await startChatServer();
    await other.stop();
    const error = await failure(model({ baseUrl: other.baseUrl }));
    expect(error).toMatchObject({ kind: "unreachable", retryable: true, usage: undefined });
    expect(error.message).toContain("ECONNREFUSED");
  });

  it("is unreachable when the name does not exist, and when the connection is dropped before an answer", async () => {
    expect(await failure(model({ baseUrl: "http://model.invalid/v1" }))).toMatchObject({
      kind: "unreachable",
    });
    server.behave((response) => response.destroy());
    expect(await failure()).toMatchObject({ kind: "unreachable" });
  });
});

describe("a server that understands less", () => {
  const refuses = (member: string, error: object) =>
    server.behave((response, asked, index) =>
      member in asked.body
        ? jsonError(400, error)(response, asked, index)
        : streamed({ deltas: [{ content: replyJson("Hi") }] })(response, asked, index),
    );

  it("is asked for any JSON with the schema in words, and the lesson is remembered", async () => {
    server.behave((response, asked, index) => {
      const form = asked.body.response_format as { type: string };
      if (form.type !== "json_object") {
        return jsonError(400, { message: "unsupported", param: "response_format" })(response, asked, index);
      }
      return streamed({ deltas: [{ content: `\`\`\`json\n${replyJson("Hi")}\n\`\`\`` }] })(
        response,
        asked,
        index,
      );
    });
    const asked = model();
    expect((await decide(asked)).output).toMatchObject({ step: { text: "Hi" } });
    await decide(asked);

    expect(server.requests).toHaveLength(3);
    const { messages } = server.requests[1]!.body;
    expect(messages).toHaveLength(2);
    expect(messages[0]).toMatchObject({ role: "system" });
    expect(messages[0]!.content).toContain("You are a demo.");
    expect(messages[0]!.content).toContain(JSON.stringify(request.schema));
  });

  it("is asked in words alone when it knows no form at all", async () => {
    refuses("response_format", { message: "this response_format type is unavailable now", param: null });
    await decide();
    expect(server.requests.map(({ body }) => (body.response_format as { type: string })?.type)).toEqual([
      "json_schema",
      "json_object",
      undefined,
    ]);
  });

  it("is not asked for the usage when it refuses stream options", async () => {
    refuses("stream_options", { message: "unknown member", param: "stream_options" });
    const asked = model();
    expect((await decide(asked)).inputTokens).toBeGreaterThan(0);
    await decide(asked);
    expect(server.requests.map(({ body }) => "stream_options" in body)).toEqual([true, false, false]);
  });

  it("is given the token limit under its old name", async () => {
    refuses("max_completion_tokens", { message: "unknown member", param: "max_completion_tokens" });
    await decide();
    expect(server.requests[1]!.body).toMatchObject({ max_tokens: 500 });
  });

  it("is not asked again and again when it refuses whatever it is asked", async () => {
    server.behave(jsonError(400, { message: "no", param: "response_format" }));
    expect(await failure()).toMatchObject({ kind: "bad_request" });
    expect(server.requests).toHaveLength(3);
  });
});
