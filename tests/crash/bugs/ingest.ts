/** Bugs of taking messages in. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Doorbell } from "../../../core/ports.ts";
import { ids } from "../../../gateway/ids.ts";
import { type Bug, kill, noFaults } from "./bug.ts";

const unanswered = ["acknowledged_is_answered", "comes_to_rest"];

/** A ring is lost when the thread was rung less than `withinMs` ago. */
function firstRings(doorbell: Doorbell, withinMs: number): Doorbell {
  const rung = new Map<string, number>();
  return {
    ...doorbell,
    async ringThread(threadId, lost) {
      if (!lost && Date.now() - (rung.get(threadId) ?? 0) < withinMs) return;
      rung.set(threadId, Date.now());
      await doorbell.ringThread(threadId, lost);
    },
  };
}

export const ingestBugs: readonly Bug[] = [
  {
    name: "acknowledged_before_stored",
    what: "accept resolves at once and stores a little later",
    caughtBy: unanswered,
    faults: (dice) => [kill("gateway", "log.accept", 2 + dice.pick(3), "before")],
    change: ({ log }) => ({
      log: {
        ...log,
        async accept(request) {
          void sleep(120).then(() => log.accept(request).catch(() => {}));
          return { outcome: "no_thread" };
        },
      },
    }),
  },
  {
    name: "acknowledged_on_error",
    what: "accept swallows what the database says",
    caughtBy: unanswered,
    faults: (dice) => [
      { kind: "cut", statement: "accept_by_binding", k: 1 + dice.pick(3), moment: "before" },
    ],
    change: ({ log }) => ({
      log: { ...log, accept: (request) => log.accept(request).catch(() => ({ outcome: "no_thread" })) },
    }),
  },
  {
    name: "no_dedupe",
    what: "every copy of a message is a message",
    caughtBy: ["answered_once", "called_once"],
    faults: noFaults,
    change: ({ log }) => ({
      log: {
        ...log,
        accept: (request) => log.accept({ ...request, dedupe: { ...request.dedupe, key: ids.next() } }),
      },
    }),
  },
  {
    name: "dedupe_by_thread",
    what: "a second message of a thread counts as a copy of the first",
    caughtBy: unanswered,
    faults: noFaults,
    change: ({ log }) => ({
      log: {
        ...log,
        accept(request) {
          const anchor = "binding" in request.target ? request.target.binding.anchor : request.dedupe.key;
          return log.accept({ ...request, dedupe: { ...request.dedupe, key: anchor } });
        },
      },
    }),
  },
  {
    name: "plain_doorbell_dedupe",
    what: "a ring that comes while the thread is worked on is lost, and nobody sweeps",
    caughtBy: unanswered,
    faults: noFaults,
    change: ({ doorbell, sweep }) => ({
      sweep: { ...sweep, lostThreads: async () => [] },
      doorbell: firstRings(doorbell, 80),
    }),
  },
  {
    name: "release_forgets_news",
    what: "a commit that rests clears what came in meanwhile, and the bell for it was lost",
    caughtBy: unanswered,
    faults: noFaults,
    statements: [
      { name: "release", from: "and version = $4", to: "and $4::int is not null" },
      { name: "commit", from: "when $13 and version = $4", to: "when $13" },
    ],
    change: ({ log, doorbell }) => ({
      doorbell: firstRings(doorbell, 400),
      log: {
        ...log,
        async commit(lease, state, commit) {
          await sleep(25);
          return log.commit(lease, state, { ...commit, onlyIfUnmoved: false });
        },
      },
    }),
  },
  {
    name: "nobody_sweeps",
    what: "the sweeper finds nothing, ever",
    caughtBy: unanswered,
    faults: (dice) => [
      kill("worker", "log.lease", 1, "after"),
      { kind: "redis_flush", atMs: 150 + dice.pick(300) },
    ],
    change: ({ sweep }) => ({
      sweep: {
        ...sweep,
        lostThreads: async () => [],
        lostDeliveries: async () => [],
        dueTimers: async () => [],
      },
    }),
  },
];
