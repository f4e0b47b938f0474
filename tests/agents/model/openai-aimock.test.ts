/** The same port against a server that somebody else wrote from OpenAI's documentation. */
import { LLMock } from "@copilotkit/aimock";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { decideWithFallback } from "../../../agents/model/chain.ts";
import { openAiModel } from "../../../agents/model/openai.ts";
import type { ModelRequest } from "../../../core/ports.ts";

const reply = {
  step: { intent: "reply", reasoning: "asked", confidence: 0.9, text: "Deployed “v1.4.2” 🎉, all well." },
};
const call = { step: { intent: "deploy", reasoning: "asked", confidence: 0.9, args: { tag: "v1.4.2" } } };

const mock = new LLMock({ port: 0 });
beforeAll(() => mock.start());
beforeEach(() => {
  mock.clearFixtures();
  mock.clearRequests();
});
afterAll(() => mock.stop());

const model = (name = "gpt-4o-mini") =>
  openAiModel({ name, model: name, apiKey: "mock", baseUrl: `${mock.url}/v1` });
const request: ModelRequest = {
  agent: "demo",
  messages: [{ role: "user", content: "deploy" }],
  schema: { type: "object", properties: {}, required: [], additionalProperties: false },
  schemaName: "demo_step",
  maxOutputTokens: 500,
  context: null,
};
const options = { signal: new AbortController().signal, timeoutMs: 5_000 };

describe("against aimock", () => {
  it("reads a structured step", async () => {
    const match = { userMessage: "deploy", responseFormat: "json_schema" };
    mock.on(match, { content: JSON.stringify(call) });
    expect((await model().decide(request, options)).output).toEqual(call);
  });

  it("streams a reply that comes three characters at a time", async () => {
    mock.onMessage("deploy", { content: JSON.stringify(reply) }, { chunkSize: 3 });
    const shown: string[] = [];
    const answer = await model().decide(request, { ...options, onPartial: (text) => shown.push(text) });
    expect(answer.output).toEqual(reply);
    expect(shown.length).toBeGreaterThan(5);
    expect(shown.at(-1)).toBe(reply.step.text);
    for (const text of shown) expect(reply.step.text.startsWith(text) && text.isWellFormed()).toBe(true);
  });

  it("takes the usage from the last chunk", async () => {
    const usage = { prompt_tokens: 2_000_000, completion_tokens: 1_000_000 };
    mock.onMessage("deploy", { content: JSON.stringify(reply), usage });
    const answer = await model().decide(request, options);
    expect(answer).toMatchObject({ inputTokens: 2_000_000, outputTokens: 1_000_000 });
    expect(answer.costUsd).toBeCloseTo(0.3 + 0.6, 6);
  });

  it("is told how long to wait when it asks too often", async () => {
    const error = { message: "slow down", code: "rate_limit_exceeded" };
    mock.onMessage("deploy", { error, status: 429, retryAfter: 9 });
    await expect(model().decide(request, options)).rejects.toMatchObject({
      kind: "rate_limited",
      retryAfterMs: 9_000,
    });
    expect(mock.getRequests()).toHaveLength(1);
  });

  it("notices a stream that is cut", async () => {
    mock.onMessage(
      "deploy",
      { content: JSON.stringify(reply) },
      { chunkSize: 5, truncateAfterChunks: 6, latency: 10 },
    );
    await expect(model().decide(request, options)).rejects.toMatchObject({ kind: "broken_stream" });
  });

  it.each([
    ["length", "length"],
    ["content_filter", "content_filter"],
  ])("notices an answer that was finished by %s", async (finishReason, kind) => {
    mock.onMessage("deploy", { content: JSON.stringify(reply), finishReason });
    await expect(model().decide(request, options)).rejects.toMatchObject({ kind });
  });

  it("turns to the backup while the primary has errors", async () => {
    mock.on({ model: "gpt-4o" }, { error: { message: "oops", type: "server_error" }, status: 500 });
    mock.on({ model: "gpt-4o-mini" }, { content: JSON.stringify(reply) });
    const result = await decideWithFallback({
      primary: model("gpt-4o"),
      backup: model("gpt-4o-mini"),
      request,
      compacted: () => null,
      ...options,
    });
    expect(result).toMatchObject({
      stage: "backup",
      answer: { model: "gpt-4o-mini", output: reply },
      attempts: [{ stage: "primary", model: "gpt-4o", kind: "server_error" }],
    });
  });
});
