import { describe, expect, it } from "vitest";
import { errorLine, ModelError, RefusedError, StaleLeaseError } from "../../core/errors.ts";

describe("an error line", () => {
  it("is one line without a stack", () => {
    expect(errorLine(new Error("first\n  second\tthird"))).toBe("first second third");
  });

  it("is cut where it would be too long", () => {
    expect(errorLine("x".repeat(500))).toHaveLength(300);
    expect(errorLine("abcdef", 4)).toBe("abc…");
  });

  it.each([
    ["nothing", undefined, "undefined"],
    ["an empty message", new Error(""), "unknown error"],
    ["an object without a prototype", Object.create(null), "unknown error"],
    [
      "an error whose message is not text",
      Object.assign(new Error(), { message: { code: 1 } }),
      "[object Object]",
    ],
  ])("comes of anything that is thrown: %s", (_, thrown, line) => {
    expect(errorLine(thrown)).toBe(line);
  });
});

describe("errors", () => {
  it("say whether trying again can help", () => {
    const options = { operation: "test" };
    expect(new RefusedError("rate_limited", "slow down", options).retryable).toBe(true);
    expect(new RefusedError("forbidden", "no", options).retryable).toBe(false);
    expect(new StaleLeaseError("t").retryable).toBe(false);
    expect(new ModelError("timeout", "slow", { retryable: true }).retryable).toBe(true);
  });

  it("keep the inside out of what a stranger is shown", () => {
    const error = new ModelError("unauthorized", "401 for key sk-123", { retryable: false });
    expect(error.publicText).not.toContain("sk-123");
    expect(error.message).toContain("sk-123");
    expect(error.name).toBe("ModelError");
  });
});
