/**
 * The thread's state machine under races: people write, pause and cancel, and two workers take the thread from each other
 * at any await, as fast-check's scheduler orders them. The log is in memory; what it takes is what the store would take.
 * `MODEL_SEQUENCES` says how many sequences are tried.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { NewEvent, ThreadEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import { emptyThread, type ThreadState, threadStatus } from "../../core/thread.ts";
import { binding, numbered, sender } from "../support/arbitraries.ts";
import { limits, loopTurn, toRest } from "../support/stories.ts";

const sequences = Number(process.env.MODEL_SEQUENCES ?? 2_000);

/** A log that only the holder of the newest fence may write to, and only from where it ends. */
class SharedLog {
  readonly events: ThreadEvent[] = [];
  state: ThreadState = emptyThread;
  fence = 0;

  append(...events: NewEvent[]): void {
    const added = numbered(events, this.state.seq);
    this.events.push(...added);
    this.state = fold(added, this.state);
  }
  commit(fence: number, basis: ThreadState, events: NewEvent[]): "committed" | "moved" | "stale" {
    if (fence !== this.fence) return "stale";
    if (basis.seq !== this.state.seq) return "moved";
    this.append(...events);
    return "committed";
  }
}

const ann = sender("ann");
const byAnn = (type: "paused" | "resumed" | "cancelled"): NewEvent =>
  ({
    type,
    data: type === "resumed" ? {} : { reason: "" },
    actor: { kind: "person", sender: ann },
  }) as NewEvent;
const says = (text: string): NewEvent => ({
  type: "message_received",
  data: { messageId: text, text, sender: ann, attachments: [], via: binding, correlationId: text },
  actor: { kind: "person", sender: ann },
});

const deed = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("hello", "yes", "no", "extend").map(says) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("paused" as const, "resumed" as const, "cancelled" as const).map(byAnn),
  },
);

interface Race {
  log: SharedLog;
  schedule: fc.Scheduler;
  draws: readonly number[];
}

/** Takes the thread, whoever has it, and works on it until it rests, or somebody else takes it. */
async function work({ log, schedule, draws }: Race, name: string): Promise<void> {
  let drawn = 0;
  const pick = (below: number): number => (draws[drawn++ % draws.length] ?? 0) % below;
  await schedule.schedule(Promise.resolve(), `${name} leases`);
  log.fence += 1;
  const fence = log.fence;
  let state = log.state;
  for (let turn = 0; turn < 12; turn++) {
    const events = loopTurn({ state, pick, name: `${name}-${turn}` }, limits);
    if (events.length === 0) return;
    await schedule.schedule(Promise.resolve(), `${name} decides`);
    if (log.commit(fence, state, events) === "stale") return;
    state = log.state;
  }
}

async function write({ log, schedule }: Race, deeds: readonly NewEvent[]): Promise<void> {
  for (const event of deeds) {
    await schedule.schedule(Promise.resolve(), event.type);
    log.append(event);
  }
}

function check(events: readonly ThreadEvent[]): void {
  const answered = events.flatMap((event) => (event.type === "reply_committed" ? event.data.answers : []));
  expect(answered, "a message is answered once").toEqual([...new Set(answered)]);
  let open: string | null = null;
  const finished = new Set<string>();
  for (const event of events) {
    if (event.type === "run_started") {
      expect(open, "one run at a time").toBeNull();
      open = event.data.runId;
    }
    if (event.type === "run_ended" && event.data.runId === open) open = null;
    if (event.type === "tool_finished" || event.type === "tool_failed") finished.add(event.data.callId);
    if (event.type === "tool_started")
      expect(finished, "what ended does not begin").not.toContain(event.data.callId);
  }
}

it("answers each message once and keeps one run at a time, whatever order people and workers come in", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(deed, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat({ max: 999 }), { minLength: 8, maxLength: 40 }),
      async (schedule, deeds, draws) => {
        const log = new SharedLog();
        log.append(
          {
            type: "thread_started",
            data: { agent: "deploybot", home: binding },
            actor: { kind: "system", name: "ingest" },
          },
          says("first"),
        );
        const race = { log, schedule, draws };
        const all = ["one", "two", "three"].map((name) => work(race, name));
        const people = write(race, deeds);
        await schedule.waitAll();
        await Promise.all([...all, people]);
        if (log.state.halted === "paused") log.append(byAnn("resumed"));
        const rest = toRest(log.state);
        check([...log.events, ...rest.log]);
        if (threadStatus(rest.state) === "done") expect(rest.state.unanswered).toEqual([]);
      },
    ),
    { numRuns: sequences },
  );
}, 600_000);
