/**
 * One sequence: a thread in the reference store, a crew of workers on it, and people around it. `play` runs the commands
 * interleaved with everything that is on its way, drains, judges, lets the people deal with all that waits, and judges again.
 */
import fc from "fast-check";
import { vi } from "vitest";
import type { NewEvent } from "../../core/events.ts";
import type { JsonObject } from "../../core/json.ts";
import type { ThreadLog } from "../../core/ports.ts";
import { threadStatus, waitingFor } from "../../core/thread.ts";
import { binding, sender } from "../support/arbitraries.ts";
import { type Answer, type Crew, crew, leaseTtlMs } from "./crew.ts";
import { type Journal, journal } from "./journal.ts";
import { judge } from "./promises.ts";
import { type Guards, guards, type ReferenceStore, referenceStore, stateOf } from "./reference-log.ts";

export const threadId = "thread";
const startMs = Date.parse("2030-01-01T12:00:00Z");
/** Far more than any sequence needs: a thread that has not come to rest by then never will. */
const maxRounds = 60;

export interface World {
  readonly scheduler: fc.Scheduler;
  readonly store: ReferenceStore;
  readonly crew: Crew;
  readonly journal: Journal;
  nowMs: number;
  say(person: string, text: string, key: string): void;
  tell(event: NewEvent): void;
  decide(which: number, verdict: "approve" | "reject" | "edit" | "ask_back", person: string): void;
  fireTimers(): void;
}

/** One macrotask: all that can go on without anything arriving has gone on then. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const schedulers = fc.scheduler({
  act: async (task) => {
    await task();
    await settled();
  },
});

export interface Planted {
  guards?: Partial<Guards>;
  log?: (log: ThreadLog) => ThreadLog;
}

export function world(scheduler: fc.Scheduler, answers: readonly Answer[], planted: Planted = {}): World {
  const nowMs = (): number => built.nowMs;
  const inner = referenceStore(nowMs, { ...guards, ...planted.guards });
  const store = planted.log === undefined ? inner : { ...inner, log: planted.log(inner.log) };
  const notes = journal(nowMs);
  let keys = 0;
  const built: World = {
    scheduler,
    store,
    journal: notes,
    crew: crew({ scheduler, store, journal: notes, answers, nowMs }),
    nowMs: startMs,
    say(person, text, key) {
      const from = sender(person);
      const data = { messageId: key, text, sender: from, attachments: [], via: binding, correlationId: key };
      const event: NewEvent = {
        type: "message_received",
        data,
        actor: { kind: "person", sender: from },
      };
      const target = { binding, agent: "tester", newThreadId: threadId };
      const dedupe = { channel: "web", account: "a", key };
      void store.log.accept({ target, dedupe, event }).then((result) => notes.heard(key, result));
    },
    tell(event) {
      const dedupe = { channel: "web", account: "a", key: `order-${++keys}` };
      void store.log.accept({ target: { threadId }, dedupe, event });
    },
    decide(which, verdict, person) {
      const all = [...store.tables.approvals.keys()];
      const approvalId = all[all.length - 1 - (which % Math.max(1, all.length))];
      if (approvalId === undefined) return;
      const seen = store.look(approvalId);
      const args: JsonObject | null =
        verdict === "edit" && seen !== null ? { ...seen.args, id: `by-${person}` } : null;
      const request = { approvalId, verdict, sender: sender(person), roles: [], reason: null, args };
      // What a person has seen and what is true when the verdict arrives can differ.
      void scheduler
        .schedule(Promise.resolve(), `${person}: ${verdict}`)
        .then(() => notes.decided(request, seen, store.decide(request, seen)));
    },
    fireTimers() {
      for (const timerId of [...store.tables.timers.keys()]) store.fireTimer(timerId);
    },
  };
  built.say("ann", "hello", "first");
  built.crew.ring(0, threadId);
  return built;
}

/** Plays a sequence. What is broken stands in the journal. */
export async function play(
  stage: World,
  commands: Iterable<fc.AsyncCommand<World, World, false>>,
): Promise<World> {
  try {
    await fc.scheduledModelRun(stage.scheduler, () => ({ model: stage, real: stage }), commands);
    await drain(stage);
    judgeAll(stage);
    await finish(stage);
    judgeAll(stage);
  } finally {
    vi.clearAllTimers();
  }
  return stage;
}

function judgeAll({ store, journal: notes }: World): void {
  const thread = store.tables.threads.get(threadId);
  if (thread === undefined) notes.broken("answered once", "there is no thread");
  else judge(store, thread, notes);
}

async function drain(stage: World): Promise<void> {
  const { crew: workers, scheduler, store, journal: notes } = stage;
  for (const worker of workers.workers) {
    worker?.frozen?.resolve();
    if (worker != null) Object.assign(worker, { frozen: null, faults: [] });
  }
  await settled();
  await scheduler.waitAll();
  for (let round = 0; round < maxRounds; round++) {
    // By now no lease lives and no pause lasts: only what the thread itself waits for is left.
    stage.nowMs += leaseTtlMs + 60_001;
    const [lost] = store.lostThreads();
    if (lost === undefined) break;
    const place = round % workers.workers.length;
    workers.ring(place, lost);
    await settled();
    await scheduler.waitAll();
    if (round === maxRounds - 1) notes.broken("comes to rest", "it is still runnable");
  }
  if (workers.workers.some((worker) => worker !== null && !worker.dead && worker.running !== null)) {
    notes.broken("comes to rest", "a worker hangs");
  }
}

/** The people deal with all that waits, until nothing does. */
async function finish(stage: World): Promise<void> {
  const { store, journal: notes } = stage;
  for (let round = 0; round < 12; round++) {
    const state = stateOf(store, threadId);
    const status = threadStatus(state);
    if (status === "done" || status === "cancelled") return;
    if (status === "paused") stage.tell({ type: "resumed", data: {}, actor: { kind: "system", name: "t" } });
    // A call of unknown outcome outlives its question: a cancellation closes that, and a plain yes still settles the call.
    const unknown = state.calls.some((call) => call.status === "unknown");
    if (status !== "paused" && (state.question !== null || unknown)) {
      stage.say("ann", state.question?.purpose === "budget" ? "extend 9" : "yes", `answer-${round}`);
    }
    for (const { approvalId, status: open } of [...store.tables.approvals.values()]) {
      if (open !== "pending") continue;
      // They never write: nobody can say of them that they asked for it themselves.
      for (const person of ["eve", "fay"]) {
        const seen = store.look(approvalId);
        const rest = { sender: sender(person), roles: [], reason: null, args: null };
        const request = { approvalId, verdict: "approve" as const, ...rest };
        notes.decided(request, seen, store.decide(request, seen));
      }
    }
    stage.nowMs += 3 * 60 * 60_000;
    stage.fireTimers();
    await drain(stage);
  }
  const left = stateOf(store, threadId);
  const waits = [...waitingFor(left), ...left.calls.map((call) => `${call.tool} ${call.status}`)];
  notes.broken("comes to rest", `everything is dealt with, and it waits for ${waits.join(", ")}`);
}
