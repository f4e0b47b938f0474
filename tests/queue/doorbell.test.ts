import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ringOptions } from "../../queue/doorbell.ts";

describe("the options of a ring", () => {
  it("give rings for now one dedupe id, and later ones another", () => {
    expect(ringOptions("t", 0, 1_000)).toMatchObject({ deduplication: { id: "t", keepLastIfActive: true } });
    expect(ringOptions("t", 10, 1_000).deduplication?.id).not.toBe("t");
    expect(ringOptions("t", -5, 1_000).delay).toBeUndefined();
  });

  it("never make a later ring early, nor later than a quarter of a second", () => {
    const times = fc.record({
      nowMs: fc.integer({ min: 0, max: 2e12 }),
      delayMs: fc.integer({ min: 1, max: 1e9 }),
    });
    fc.assert(
      fc.property(times, ({ nowMs, delayMs }) => {
        const delay = ringOptions("t", delayMs, nowMs).delay ?? -1;
        expect(delay).toBeGreaterThanOrEqual(delayMs);
        expect(delay).toBeLessThan(delayMs + 250);
      }),
    );
  });

  it("let two later rings share a job only when both are due at the same moment", () => {
    const ring = fc.record({
      nowMs: fc.integer({ min: 0, max: 3_000 }),
      delayMs: fc.integer({ min: 1, max: 3_000 }),
    });
    fc.assert(
      fc.property(ring, ring, (a, b) => {
        const first = ringOptions("t", a.delayMs, a.nowMs);
        const second = ringOptions("t", b.delayMs, b.nowMs);
        const sameJob = first.deduplication?.id === second.deduplication?.id;
        const sameMoment = a.nowMs + (first.delay ?? 0) === b.nowMs + (second.delay ?? 0);
        expect(sameJob).toBe(sameMoment);
      }),
    );
  });
});
