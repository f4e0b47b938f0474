/** What can happen around a thread, as commands, and what a model can say, as arbitraries. */
import fc from "fast-check";
import { vi } from "vitest";
import type { NewEvent } from "../../core/events.ts";
import type { JsonObject } from "../../core/json.ts";
import { sender } from "../support/arbitraries.ts";
import { type Answer, type Fault, leaseTtlMs, policyNames, toolNames, type Worker } from "./crew.ts";
import { threadId, type World } from "./world.ts";

type Command = fc.AsyncCommand<World, World, false>;

const command = (name: string, act: (world: World) => void): Command => ({
  check: () => true,
  run: async (_, world) => act(world),
  toString: () => name,
});

const withWorker = (name: string, place: number, act: (worker: Worker) => void): Command =>
  command(`${name} ${place}`, ({ crew }) => {
    const worker = crew.workers[place];
    if (worker != null) act(worker);
  });

const say = (person: string, text: string, key: string): Command =>
  command(`${person} writes "${text}" as ${key}`, (world) => world.say(person, text, key));

const bell = (place: number): Command =>
  command(`bell for ${place}`, ({ crew }) => crew.ring(place, threadId));

const halt = (type: "paused" | "resumed" | "cancelled"): Command =>
  command(type, (world) => {
    const data = type === "resumed" ? {} : { reason: "" };
    world.tell({ type, data, actor: { kind: "person", sender: sender("ann") } } as NewEvent);
  });

/** Time passes, and every worker that can says that it is still there. */
const beat = command("a heartbeat", (world) => {
  world.nowMs += leaseTtlMs / 3;
  vi.advanceTimersByTime(leaseTtlMs / 3);
});
/** Who cancels, and who works on, learns of it by the next heartbeat. */
const cut = command("cancelled under way", (world) => {
  world.tell({
    type: "cancelled",
    data: { reason: "" },
    actor: { kind: "person", sender: sender("ann") },
  });
  vi.advanceTimersByTime(leaseTtlMs / 3);
});
/** Time passes, and nobody is heard of. */
const pass = (ms: number): Command =>
  command(`${ms} ms pass`, (world) => {
    world.nowMs += ms;
  });

const timers = command("timers", (world) => world.fireTimers());
const freeze = (place: number): Command =>
  withWorker("freeze", place, (worker) => {
    worker.frozen ??= Promise.withResolvers();
  });
const thaw = (place: number): Command =>
  withWorker("thaw", place, (worker) => {
    worker.frozen?.resolve();
    worker.frozen = null;
  });
/** Its lease ends while it says nothing, another takes over, and it goes on as if nothing had been. */
const overslept = (place: number): Command =>
  command(`${place} oversleeps`, (world) => {
    const worker = world.crew.workers[place];
    if (worker != null) worker.frozen ??= Promise.withResolvers();
    world.nowMs += leaseTtlMs + 1;
    world.crew.ring((place + 1) % 3, threadId);
  });
const kill = (place: number): Command =>
  withWorker("kill", place, (worker) => {
    worker.dead = true;
  });
const stop = (place: number): Command => withWorker("stop", place, (worker) => worker.stop.abort());
const fault = (place: number, kind: Fault): Command =>
  withWorker(`the next call is ${kind} of`, place, (worker) => void worker.faults.push(kind));

const place = fc.nat({ max: 2 });
const person = fc.constantFrom("ann", "bob", "cem", "dan");
const text = fc.constantFrom("hello", "yes", "no", "extend", "do it");
const key = fc.constantFrom(...Array.from({ length: 10 }, (_, index) => `m${index}`));
const verdict = fc.constantFrom(
  ...(["approve", "approve", "approve", "edit", "reject", "ask_back"] as const),
);
const decide = fc
  .tuple(fc.nat({ max: 2 }), verdict, person)
  .map(([which, what, who]) =>
    command(`${who}: ${what} ${which}`, (world) => world.decide(which, what, who)),
  );

const people = [
  fc.tuple(person, text, key).map((facts) => say(...facts)),
  fc.constantFrom("paused" as const, "resumed" as const, "resumed" as const, "cancelled" as const).map(halt),
  decide,
];
const machines = [
  place.map(bell),
  place.map(bell),
  place.map(bell),
  place.map(bell),
  place.map(overslept),
  fc.constant(beat),
  fc.constant(cut),
  fc.constantFrom(1_000, leaseTtlMs + 1, 61_000).map(pass),
  fc.constant(timers),
  place.map(freeze),
  place.map(thaw),
  place.map(kill),
  place.map(stop),
  fc.tuple(place, fc.constantFrom<Fault>("refused", "lost")).map((facts) => fault(...facts)),
];

const size = { maxCommands: 40, size: "max" } as const;
export const everything = fc.commands<World, World, false>([...people, ...machines], size);
/** Mostly people who decide. */
export const verdicts = fc.commands<World, World, false>(
  [...people, decide, decide, decide, decide, ...machines],
  size,
);

const id = fc.constantFrom("a", "b");
const policy = fc.constantFrom(...policyNames);
const use = (tool: string, args: JsonObject): Answer => ({ step: { intent: tool, args } });
const call = (rules: fc.Arbitrary<string | null>): fc.Arbitrary<Answer> =>
  fc
    .tuple(fc.constantFrom(...toolNames), id, rules, fc.constantFrom(false, false, false, true))
    .map(([tool, of, by, fails]) => use(tool, { id: of, policy: by, fails }));

const talk = fc.constantFrom<Answer>(
  { step: { intent: "reply", text: "An answer." } },
  { step: { intent: "ask_human", question: "Really?", format: "yes_no", choices: null, urgency: "low" } },
  { step: { intent: "ask_human", question: "What?", format: "free_text", choices: null, urgency: "low" } },
  { step: { intent: "wait", minutes: 1, reason: "later" } },
  { step: { intent: "handoff", to: "person", reason: "hard", text: "Over to you." } },
  { step: { intent: "finish", text: null } },
  { step: { intent: "nonsense" } },
  { trouble: "server_error" },
  { trouble: "refusal" },
);
const gather = fc.constant<Answer>({
  step: {
    intent: "gather",
    calls: [
      { tool: "look", args: { id: "a" } },
      { tool: "look_again", args: { id: "b" } },
    ],
  },
});

export const anyAnswers = fc.array(
  fc.oneof(talk, gather, call(fc.constant(null)), call(fc.constant(null)), call(policy)),
  { maxLength: 14, size: "max" },
);
export const proposals = fc.array(
  fc.oneof({ weight: 4, arbitrary: call(policy) }, { weight: 1, arbitrary: talk }),
  {
    maxLength: 12,
    size: "max",
  },
);
