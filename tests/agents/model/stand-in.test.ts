import { describe, expect, it } from "vitest";
import type { Agent, OfflineView } from "../../../agents/agent.ts";
import { standInModel } from "../../../agents/model/stand-in.ts";
import type { Json } from "../../../core/json.ts";
import type { ModelRequest } from "../../../core/ports.ts";

const view: OfflineView = {
  message: "deploy it",
  since: [
    { kind: "result", tool: "tags", args: { a: 1 }, result: ["v1"] },
    { kind: "failure", tool: "tags", args: {}, error: "e" },
    { kind: "rejected", tool: "deploy", args: {}, reason: "no", by: "Ann" },
    { kind: "asked_back", tool: "deploy", args: {}, reason: "why", by: "Ann" },
    { kind: "expired", tool: "deploy", args: {} },
    { kind: "problem", line: "p" },
  ],
  prefetched: { environments: ["production"] },
};

const request = (context: unknown): ModelRequest => ({
  agent: "demo",
  messages: [{ role: "user", content: "x".repeat(400) }],
  schema: {},
  schemaName: "demo_step",
  maxOutputTokens: 100,
  context: context as Json,
});

const decide = (script: Agent["offline"], context: unknown = view, onPartial?: (text: string) => void) =>
  standInModel((agent) => (agent === "demo" ? script : null)).decide(request(context), {
    signal: new AbortController().signal,
    timeoutMs: 1_000,
    ...(onPartial ? { onPartial } : {}),
  });

describe("the offline stand-in", () => {
  it("says what it is", () => {
    expect(standInModel(() => null)).toMatchObject({ name: "offline stand-in", offline: true });
  });

  it("plays the agent's own script on everything that has happened", async () => {
    const seen: OfflineView[] = [];
    const answer = await decide((given) => {
      seen.push(given);
      return { intent: "deploy", reasoning: "r", confidence: 1, args: { tag: "v1" } };
    });
    expect(seen).toEqual([view]);
    expect(answer).toMatchObject({
      output: { step: { intent: "deploy", args: { tag: "v1" } } },
      model: "offline stand-in",
      inputTokens: 100,
      costUsd: 0,
    });
    expect(answer.outputTokens).toBeGreaterThan(10);
  });

  it.each(["one", "two words", "It went 😀 well, and version v1.4.2 runs in production now."])(
    "lets the reply %j grow to its end",
    async (text) => {
      const shown: string[] = [];
      await decide(
        () => ({ intent: "reply", reasoning: "r", confidence: 1, text }),
        view,
        (partial) => shown.push(partial),
      );
      expect(shown.at(-1)).toBe(text);
      expect(shown.length).toBeLessThanOrEqual(4);
      for (const partial of shown) expect(text.startsWith(partial)).toBe(true);
    },
  );

  it("tells people which variable sets a model when the agent has no script", async () => {
    const { output } = await decide(null);
    expect(output).toMatchObject({
      step: { intent: "reply", text: expect.stringContaining("OPENAI_API_KEY") },
    });
  });

  it("fails as a model does when the context or the script is broken", async () => {
    const step = { intent: "finish", reasoning: "r", confidence: 1 };
    await expect(decide(() => step, { message: 1 })).rejects.toMatchObject({
      kind: "bad_request",
      retryable: false,
    });
    const broken = decide(() => {
      throw new Error("no such tag");
    });
    await expect(broken).rejects.toMatchObject({
      kind: "bad_request",
      message: expect.stringContaining("no such tag"),
    });
  });

  it("heeds a caller that has given up", async () => {
    const options = { signal: AbortSignal.abort(new Error("stop")), timeoutMs: 1_000 };
    await expect(standInModel(() => null).decide(request(view), options)).rejects.toThrow("stop");
  });
});
