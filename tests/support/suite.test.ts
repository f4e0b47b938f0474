import { expect, it } from "vitest";
import { describeWith, verdictOf } from "./suite.ts";

const missing = { name: "no-such-program", available: false, install: "there is none" };

it("runs a suite when what it needs is there, else skips it, or fails it in CI", () => {
  expect(verdictOf({ ...missing, available: true }, true)).toBe("run");
  expect(verdictOf({ ...missing, available: true }, false)).toBe("run");
  expect(verdictOf(missing, false)).toBe("skip");
  expect(verdictOf(missing, true)).toBe("fail");
});

describeWith({ ...missing, available: true }, "a suite whose program is there", () => {
  it("runs", () => expect(missing.available).toBe(false));
});
