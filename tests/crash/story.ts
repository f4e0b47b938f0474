/** From a seed to a story and what goes wrong in it. The same seed tells the same story. */
import type { Bug } from "./bugs/bug.ts";
import { type Random, random } from "./random.ts";
import {
  answerPlans,
  type Fault,
  type Moment,
  platformKinds,
  type Role,
  type Story,
  type StoryCall,
  type StoryMessage,
  type StoryThread,
  toolEffects,
} from "./words.ts";

/** Calls that can be interrupted, and how often each comes about in a run, roughly. */
export const interruptible: readonly { role: Role; call: string; most: number }[] = [
  { role: "gateway", call: "log.accept", most: 6 },
  { role: "gateway", call: "approvals.decide", most: 2 },
  { role: "gateway", call: "doorbell.ringThread", most: 5 },
  { role: "worker", call: "log.lease", most: 3 },
  { role: "worker", call: "log.commit", most: 6 },
  { role: "worker", call: "log.renew", most: 1 },
  { role: "worker", call: "log.release", most: 1 },
  { role: "worker", call: "log.catchUp", most: 1 },
  { role: "worker", call: "log.abandon", most: 1 },
  { role: "worker", call: "log.storedAction", most: 1 },
  { role: "worker", call: "outbox.claim", most: 3 },
  { role: "worker", call: "outbox.record", most: 3 },
  { role: "worker", call: "outbox.nextDueMs", most: 3 },
  { role: "worker", call: "sweep.lostThreads", most: 3 },
  { role: "worker", call: "sweep.lostDeliveries", most: 3 },
  { role: "worker", call: "sweep.dueTimers", most: 3 },
  { role: "worker", call: "sweep.fireTimer", most: 1 },
  { role: "worker", call: "doorbell.ringThread", most: 1 },
  { role: "worker", call: "doorbell.ringDelivery", most: 3 },
  { role: "worker", call: "doorbell.ringTimer", most: 1 },
  { role: "worker", call: "model.decide", most: 3 },
  { role: "worker", call: "tool.run", most: 2 },
  { role: "worker", call: "channel.send", most: 3 },
  { role: "worker", call: "channel.find", most: 1 },
];

const moments: readonly Moment[] = ["before", "after"];

export function storyOf(seed: number): Story {
  const dice = random(seed);
  const count = 1 + dice.pick(3);
  const threads = Array.from({ length: count }, (_, index) => thread(dice, `r${seed}t${index}`));
  return { seed, threads, faults: faultsOf(dice, threads, seed % 2 === 0) };
}

/** A story in which a planted bug can show: the faults, tools and answers that it needs. */
export function storyFor(bug: Bug, seed: number): Story {
  const story = storyOf(seed);
  const dice = random(seed + 1_000_003);
  const changed = ({ id, tool, answers }: StoryCall): StoryCall => ({
    id,
    tool:
      bug.tools === undefined ? (bug.answers === undefined ? tool : dice.of(changing)) : dice.of(bug.tools),
    answers: bug.answers === undefined ? answers : dice.of(bug.answers),
  });
  const needsCalls = bug.tools !== undefined || bug.answers !== undefined;
  const threads = story.threads.map((each) => ({
    ...each,
    messages: each.messages.map((said, index) => {
      const calls =
        said.calls.length === 0 && needsCalls && index === 0 ? [call(dice, `${said.label}c0`)] : said.calls;
      return { ...said, calls: calls.map(changed) };
    }),
  }));
  return { seed, threads, faults: bug.faults?.(dice) ?? story.faults };
}

const changing = ["set", "charge", "launch"];

function thread(dice: Random, anchor: string): StoryThread {
  const messages = Array.from({ length: 1 + dice.pick(3) }, (_, index) =>
    message(dice, `${anchor}m${index}`),
  );
  return { anchor, platform: dice.of(platformKinds), messages };
}

function message(dice: Random, label: string): StoryMessage {
  const copies = dice.chance(40) ? 2 + dice.pick(9) : 1;
  const calls = Array.from({ length: dice.of([0, 0, 1, 1, 2]) }, (_, index) =>
    call(dice, `${label}c${index}`),
  );
  return {
    label,
    calls,
    copies,
    spaced: dice.chance(50),
    early: dice.chance(30),
    pauseMs: dice.of([0, 0, 4, 20, 60]),
  };
}

function call(dice: Random, id: string): StoryCall {
  const tool = dice.of(Object.keys(toolEffects));
  const guarded = tool !== "look" && dice.chance(50);
  return { id, tool, answers: guarded ? dice.of(answerPlans) : null };
}

function faultsOf(dice: Random, threads: readonly StoryThread[], hasRedis: boolean): Fault[] {
  const sort = dice.pick(100);
  if (sort < 6) return [];
  if (sort < 46) return [atCall(dice, "kill", threads)];
  if (sort < 56) return [atCall(dice, "kill", threads), atCall(dice, "kill", threads)];
  if (sort < 70) return [atCall(dice, "freeze", threads)];
  if (sort < 78) return [{ kind: "cut", ...cutIn(dice), moment: dice.of(moments) }];
  if (sort < 80) return [{ kind: "postgres_stop", atMs: dice.pick(200) }];
  if (sort < 86 && hasRedis) return [{ kind: dice.of(["redis_kill", "redis_flush"]), atMs: dice.pick(200) }];
  if (sort < 93) return [dropped(dice), ...(dice.chance(30) ? [atCall(dice, "kill", threads)] : [])];
  if (sort < 96) return [{ kind: "model_hang", k: 1 + dice.pick(2) }];
  return [{ kind: "tool_dropped", k: 1, moment: dice.of(moments) }];
}

/** Statements by their names in the store; the empty one is any. */
const statements = [
  ...["", "accept_by_binding", "commit", "commit", "lease", "outbox_claim", "outbox_record", "release"],
  "approval_decide",
];

const cutIn = (dice: Random): { statement: string; k: number } => {
  const statement = dice.of(statements);
  return { statement, k: 1 + dice.pick(statement === "" ? 40 : 4) };
};

const dropped = (dice: Random): Fault => ({
  kind: "send_dropped",
  k: 1 + dice.pick(3),
  moment: dice.chance(75) ? "after" : "before",
});

/** Only what this story can come to: a story without an approval has none to kill. */
function atCall(dice: Random, kind: "kill" | "freeze", threads: readonly StoryThread[]): Fault {
  const calls = threads.flatMap(({ messages }) => messages.flatMap((each) => each.calls));
  const guarded = calls.some(({ answers }) => answers !== null);
  const expiring = calls.some(({ answers }) => answers === "expire");
  const possible = interruptible.filter(({ role, call: name }) => {
    if (kind === "freeze" && role === "gateway" && name !== "log.accept") return false;
    if (/^approvals|storedAction/.test(name)) return guarded;
    if (/fireTimer|ringTimer/.test(name)) return expiring;
    return name !== "tool.run" || calls.length > 0;
  });
  const { role, call: name, most } = dice.of(possible);
  return { kind, role, call: name, k: 1 + dice.pick(most), moment: dice.of(moments), all: dice.chance(15) };
}
