/** The sequences find what they are to find: each bug here breaks the promise that stands beside it. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { eventVersion } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import type { ThreadLog } from "../../core/ports.ts";
import type { ThreadState } from "../../core/thread.ts";
import type { Promised } from "./journal.ts";
import { approvals, property, type Stage, threads } from "./property.ts";
import { sequences } from "./sequences.ts";
import type { Planted } from "./world.ts";

beforeAll(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterAll(() => void vi.useRealTimers());

const always = () => true;

interface Bug {
  what: string;
  stage: Stage;
  breaks: Promised;
  planted: Planted;
}

const forgetful = (state: ThreadState): ThreadState => ({
  ...state,
  calls: state.calls.map((call) => ({ ...call, effect: "idempotent" })),
});

const bugs: Bug[] = [
  {
    what: "a commit is not checked against the fence",
    stage: threads,
    breaks: "stale writes nothing",
    planted: { guards: { held: always } },
  },
  {
    what: "a lease is given to two workers",
    stage: threads,
    breaks: "one worker at a time",
    planted: { guards: { free: always } },
  },
  {
    what: "the position that a commit expects is ignored: what was cancelled begins",
    stage: threads,
    breaks: "steered",
    planted: { guards: { unmoved: always } },
  },
  {
    what: "the position that a release expects is ignored: a message is never heard",
    stage: threads,
    breaks: "answered once",
    planted: { guards: { unmoved: always } },
  },
  {
    what: "an approval can be used twice, by workers that neither fence nor position holds back",
    stage: approvals,
    breaks: "approval used once",
    planted: { guards: { usable: always, held: always, unmoved: always } },
  },
  {
    what: "a redelivered message is stored again",
    stage: threads,
    breaks: "heard once",
    planted: { guards: { known: (place): place is never => place === null } },
  },
  {
    what: "a begin that was refused runs all the same",
    stage: threads,
    breaks: "written before it runs",
    planted: { log: deaf },
  },
  {
    what: "a `once` call that was cut off is run again",
    stage: threads,
    breaks: "once is once",
    planted: {
      log: (log) => ({
        ...log,
        async lease(threadId, owner, ttlMs) {
          const leased = await log.lease(threadId, owner, ttlMs);
          return leased === null ? null : { ...leased, state: forgetful(leased.state) };
        },
      }),
    },
  },
  {
    what: "a worker that may not release goes on without a pause",
    stage: threads,
    breaks: "comes to rest",
    planted: { log: (log) => ({ ...log, release: async () => false }) },
  },
  {
    what: "a timer is promised and not set",
    stage: threads,
    breaks: "comes to rest",
    planted: {
      log: (log) => ({
        ...log,
        commit: (lease, state, { timers: _, ...commit }) => log.commit(lease, state, commit),
      }),
    },
  },
];

/** Says that a call began although its commit was refused. */
function deaf(log: ThreadLog): ThreadLog {
  return {
    ...log,
    async commit(lease, state, commit) {
      const result = await log.commit(lease, state, commit);
      if (result.outcome === "committed" || commit.events[0]?.type !== "tool_started") return result;
      const believed = commit.events.map((event, index) => ({
        ...event,
        v: eventVersion(event.type),
        seq: state.seq + 1 + index,
        at: "",
      }));
      return { outcome: "committed", state: fold(believed, state), released: false };
    },
  };
}

/** All that CI plays: each bug has to show within them. */
const { numRuns, timeoutMs } = sequences(1);

it.each(bugs)(
  "notices when $what",
  async ({ stage, breaks, planted }) => {
    const judged = property(stage, { planted, only: [breaks] });
    const result = await fc.check(judged, { numRuns: Math.min(numRuns, 2_000), endOnFailure: true });
    expect(result.failed).toBe(true);
    expect(String(result.errorInstance)).toContain(breaks);
  },
  timeoutMs,
);

it(
  "needs fence or position or approval row: one alone keeps an approval from being used twice",
  async () => {
    const alone = property(approvals, {
      planted: { guards: { held: always, unmoved: always } },
      only: ["approval used once"],
    });
    expect((await fc.check(alone, { numRuns: Math.min(numRuns, 300) })).failed).toBe(false);
  },
  timeoutMs,
);
