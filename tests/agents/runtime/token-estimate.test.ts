import fc from "fast-check";
import { expect, it } from "vitest";
import { anyTokens, asciiTokens, estimateTokens } from "../../../agents/runtime/token-estimate.ts";

const ascii = fc.string({ unit: fc.integer({ min: 0, max: 127 }).map((code) => String.fromCharCode(code)) });
const ordinary = fc
  .array(fc.constantFrom("Hello", " ", "  ", "\n", "HTTP", "aB", "12345", '{"', "::", "x", "A", "\v"))
  .map((all) => all.join(""));

it("finds the same pieces in ASCII with and without the regular expression", () => {
  fc.assert(
    fc.property(fc.oneof(ascii, ordinary), (text) => {
      expect(asciiTokens(text)).toBeCloseTo(anyTokens(text), 9);
    }),
    { numRuns: 3_000 },
  );
});

it("takes other scripts the general way", () => {
  expect(estimateTokens("Straße 東京 😀")).toBe(Math.ceil(anyTokens("Straße 東京 😀")));
  expect(estimateTokens("")).toBe(0);
});
