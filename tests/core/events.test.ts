import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventTypes, eventVersion, parseEvent } from "../../core/events.ts";
import { anyEvent, numbered } from "../support/arbitraries.ts";

const row = (v: number, data: unknown) => ({
  seq: 4,
  type: "paused",
  v,
  data,
  actor: { kind: "system", name: "test" },
  at: "2030-01-01T00:00:00.000Z",
});

describe("reading events", () => {
  it("gives back every event as it was written, through JSON", () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(anyEvent, (event) => {
        const [stored] = numbered([event]);
        kinds.add(event.type);
        expect(parseEvent(JSON.parse(JSON.stringify(stored)))).toEqual(JSON.parse(JSON.stringify(stored)));
      }),
      { numRuns: 1_000 },
    );
    expect([...kinds].sort()).toEqual([...eventTypes].sort());
  });

  it("upgrades an old version step by step to the newest", () => {
    const upgrades = {
      paused: [
        (old: unknown) => ({ why: (old as { text: string }).text }),
        (old: unknown) => ({ reason: `${(old as { why: string }).why}!` }),
      ],
    };
    expect(eventVersion("paused", upgrades)).toBe(3);
    expect(parseEvent(row(1, { text: "hold" }), upgrades)).toMatchObject({ v: 3, data: { reason: "hold!" } });
    expect(parseEvent(row(2, { why: "hold" }), upgrades)).toMatchObject({ v: 3, data: { reason: "hold!" } });
    expect(parseEvent(row(3, { reason: "hold" }), upgrades)).toMatchObject({
      v: 3,
      data: { reason: "hold" },
    });
  });

  it("refuses a version newer than it knows, and says so", () => {
    const newer = row(eventVersion("paused") + 1, { reason: "" });
    expect(() => parseEvent(newer)).toThrow(RangeError);
    expect(() => parseEvent(newer)).toThrow("event paused has version 2; this program knows up to 1");
  });

  it.each([
    ["an unknown kind", { ...row(1, { reason: "" }), type: "exploded" }],
    ["facts that do not fit the kind", row(1, { text: "" })],
    ["version 0", row(0, { reason: "" })],
    ["position 0", { ...row(1, { reason: "" }), seq: 0 }],
    ["an unknown actor", { ...row(1, { reason: "" }), actor: { kind: "ghost" } }],
  ])("refuses %s", (_, stored) => {
    expect(() => parseEvent(stored)).toThrow(z.ZodError);
  });
});
