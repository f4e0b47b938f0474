import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type Agent, defineTool } from "../../agents/agent.ts";
import { policySchema } from "../../core/approval.ts";
import { RefusedError } from "../../core/errors.ts";
import { checkEdit } from "../../gateway/check-edit.ts";

const refund = defineTool({
  name: "refund",
  description: "Refunds.",
  input: z.object({ order: z.string(), cents: z.number().int().positive() }),
  effect: "keyed",
  approval: ({ cents }) => (cents > 50_000 ? "directors" : cents > 5_000 ? "refunds" : null),
  timeoutMs: 1_000,
  run: async () => "refunded",
});
const agents = new Map([["support", { name: "support", tools: [refund] } as unknown as Agent]]);
const approval = { agent: "support", tool: "refund", policy: policySchema.parse({ name: "refunds" }) };

const refusal = (args: Parameters<typeof checkEdit>[2], about = approval): RefusedError | null => {
  try {
    checkEdit(agents, about, args);
    return null;
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
};

describe("edited arguments", () => {
  it("come back as the tool's schema reads them, without what it does not know", () => {
    expect(checkEdit(agents, approval, { order: "A-1", cents: 6_000, more: true })).toEqual({
      order: "A-1",
      cents: 6_000,
    });
  });

  it("are taken when they need less than the policy at hand", () => {
    expect(checkEdit(agents, approval, { order: "A-1", cents: 100 })).toEqual({ order: "A-1", cents: 100 });
  });

  it("are refused when they would need another policy: a small refund must not become a large one", () => {
    expect(refusal({ order: "A-1", cents: 60_000 })).toMatchObject({
      reason: "conflict",
      message: expect.stringMatching(/"directors"/),
    });
  });

  it("are refused with each argument that does not fit", () => {
    expect(refusal({ cents: -1 })).toMatchObject({
      reason: "invalid",
      message: expect.stringMatching(/order: .*cents: /),
    });
  });

  it("are refused when the tool is gone", () => {
    expect(refusal({}, { ...approval, tool: "gone" })).toMatchObject({ reason: "conflict" });
  });

  it("hold nothing that the database would store differently", () => {
    expect(checkEdit(agents, approval, { order: "A\0\ud800", cents: 100 })).toEqual({
      order: "A\ufffd\ufffd",
      cents: 100,
    });
  });
});
