/**
 * The loop as it is, over a store that is only a model, with everything that waits let go in an order that fast-check draws:
 * messages, verdicts, halts, timers, and workers that die, freeze, lose their connection and come back too late. A case
 * that fails is printed with its seed and path; given to `fc.assert` as `seed` and `path`, they play it again.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { approvals, property, type Stage, threads } from "./property.ts";
import { sequences } from "./sequences.ts";

beforeAll(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterAll(() => void vi.useRealTimers());

/** What has to have happened in one of four hundred sequences at the least: what was never met is not proved. */
const met = [
  "committed",
  "moved",
  "takeover",
  "stale commit refused",
  "renewal: lost",
  "renewal: cancelled",
  "merged",
  "began again",
  "began by approval",
  "tool_outcome_unknown",
  "approval_withdrawn",
  "approval_expired",
  "verdict: decided",
  "verdict: counted",
  "verdict: already",
  "verdict: forbidden",
  "log: lease_lost",
  "log: thread_failed",
  "log: run_stopped",
];

const parts: [string, Stage, number][] = [
  ["a thread", threads, 0.45],
  ["approvals", approvals, 0.4],
];
const totals = new Map<string, number>();

for (const [what, stage, share] of parts) {
  const { numRuns, timeoutMs } = sequences(share);
  it(
    `keeps every promise for ${what}, in whatever order the world goes on`,
    () => fc.assert(property(stage, { totals }), { numRuns }),
    timeoutMs,
  );
}

it("has met everything that it is about", () => {
  const least = sequences(0.85).numRuns / 400;
  const seldom = met.filter((what) => (totals.get(what) ?? 0) < least);
  expect(seldom.map((what) => `${what}: ${totals.get(what) ?? 0}`)).toEqual([]);
});
