import { describe, expect, it } from "vitest";
import { costUsdOf } from "../../../agents/model/prices.ts";
import { countTokens } from "../../../agents/model/tokens.ts";

const tokens = { inputTokens: 1_000_000, outputTokens: 100_000 };

describe("the cost of a call", () => {
  it("comes from the list that is built in, by the model's name and without a network", async () => {
    expect(await costUsdOf({ model: "gpt-4o-mini", ...tokens })).toBeCloseTo(0.15 + 0.06, 6);
    expect(
      await costUsdOf({ model: "gpt-4o-mini", baseUrl: "https://api.openai.com/v1", ...tokens }),
    ).toBeCloseTo(0.21, 6);
    expect(
      await costUsdOf({ model: "gpt-4o-mini", baseUrl: "http://proxy.example/v1", ...tokens }),
    ).toBeCloseTo(0.21, 6);
  });

  it("is lower for what the provider had cached", async () => {
    const cached = await costUsdOf({ model: "gpt-4o-mini", ...tokens, cachedInputTokens: 1_000_000 });
    expect(cached).toBeCloseTo(0.075 + 0.06, 6);
  });

  it("is the user's own price where there is one", async () => {
    const own = { "gpt-4o-mini": { inputUsdPerMillion: 2, outputUsdPerMillion: 10 } };
    expect(await costUsdOf({ model: "gpt-4o-mini", ...tokens }, own)).toBe(3);
    const free = { local: { inputUsdPerMillion: 0, outputUsdPerMillion: 0 } };
    expect(await costUsdOf({ model: "local", ...tokens }, free)).toBe(0);
  });

  it("is null for a model that nobody knows, and for usage that contradicts itself", async () => {
    expect(await costUsdOf({ model: "nobody-knows-me", ...tokens })).toBeNull();
    expect(await costUsdOf({ model: "toString", ...tokens })).toBeNull();
    expect(
      await costUsdOf({ model: "gpt-4o-mini", inputTokens: 1, outputTokens: 1, cachedInputTokens: 2 }),
    ).toBeNull();
  });
});

describe("counting tokens", () => {
  it("agrees with the known counts of o200k_base", async () => {
    expect(await countTokens("")).toBe(0);
    expect(await countTokens("Hello, world!")).toBe(4);
  });

  it("takes a special token for the text that it is", async () => {
    expect(await countTokens("<|endoftext|>")).toBeGreaterThan(1);
  });

  it("does not stop the process for a long run of one letter", async () => {
    await countTokens("warm up");
    const startedAt = performance.now();
    expect(await countTokens("a".repeat(100_000))).toBeGreaterThan(10_000);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });
});
