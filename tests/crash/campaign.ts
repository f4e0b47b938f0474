/** Many runs over several lanes, and what came of them: the figures, the violations, the planted bugs that were caught. */
import type { Bug } from "./bugs/bug.ts";
import type { Lane, QueueKind, RunResult } from "./lane.ts";
import { shrink } from "./shrink.ts";
import { interruptible, storyFor, storyOf } from "./story.ts";
import type { Story, Violation } from "./words.ts";

export interface Found {
  seed: number;
  queue: QueueKind;
  violations: Violation[];
  /** The smallest story found that still shows it. */
  story: Story;
  history: RunResult["history"];
}

export interface Campaign {
  runs: number;
  firstSeed: number;
  durationMs: number;
  slowest: { seed: number; durationMs: number }[];
  faults: Record<string, number>;
  /** Kills and freezes, by moment and call. */
  interrupted: Record<string, number>;
  operations: RunResult["operations"];
  found: Found[];
}

export interface CaughtBug {
  name: string;
  what: string;
  caughtBy: string | null;
  example: string;
  runs: number;
}

export type Progress = (done: number, of: number, found: number) => void;

export const queueOf = (seed: number): QueueKind => (seed % 2 === 0 ? "redis" : "postgres");

export async function playAll(
  lanes: readonly Lane[],
  { firstSeed, runs }: { firstSeed: number; runs: number },
  progress: Progress,
): Promise<Campaign> {
  const startedAt = performance.now();
  const seeds: Record<QueueKind, number[]> = { redis: [], postgres: [] };
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) seeds[queueOf(seed)].push(seed);
  const campaign: Campaign = {
    runs: 0,
    firstSeed,
    durationMs: 0,
    slowest: [],
    faults: {},
    interrupted: {},
    operations: { messages: 0, replies: 0, tools: 0, decisions: 0 },
    found: [],
  };
  await Promise.all(
    lanes.map(async (lane) => {
      for (let seed = seeds[lane.queue].shift(); seed !== undefined; seed = seeds[lane.queue].shift()) {
        const run = await lane.play(storyOf(seed));
        add(campaign, run);
        if (run.violations.length > 0) campaign.found.push(await minimal(lane, run));
        progress(campaign.runs, runs, campaign.found.length);
      }
    }),
  );
  campaign.durationMs = performance.now() - startedAt;
  return campaign;
}

async function minimal(lane: Lane, run: RunResult): Promise<Found> {
  const { story, history } = await shrink(lane, run);
  return { seed: run.story.seed, queue: run.queue, violations: run.violations, story, history };
}

function add(campaign: Campaign, run: RunResult): void {
  campaign.runs += 1;
  for (const { kind, call } of run.hits) {
    campaign.faults[kind] = (campaign.faults[kind] ?? 0) + 1;
    if (call !== null) campaign.interrupted[call] = (campaign.interrupted[call] ?? 0) + 1;
  }
  for (const key of ["messages", "replies", "tools", "decisions"] as const)
    campaign.operations[key] += run.operations[key];
  campaign.slowest = [...campaign.slowest, { seed: run.story.seed, durationMs: Math.round(run.durationMs) }]
    .sort((one, other) => other.durationMs - one.durationMs)
    .slice(0, 5);
}

const faultKinds = [
  ...["kill", "freeze", "cut", "redis_kill", "redis_flush", "postgres_stop"],
  ...["send_dropped", "tool_dropped", "model_hang"],
];

/** From this many runs on every kind of fault and nearly every call has to have been struck. */
const manyRuns = 250;

/** Why this campaign proves too little; empty when it proves enough. */
export function vacuity({ runs, faults, interrupted, operations }: Campaign): string[] {
  const least = { messages: runs, replies: runs * 0.8, tools: runs * 0.5, decisions: runs * 0.2 };
  const few = (["messages", "replies", "tools", "decisions"] as const)
    .filter((key) => runs >= 20 && operations[key] < least[key])
    .map((key) => `only ${operations[key]} ${key} in ${runs} runs`);
  const struck = Object.values(faults).reduce((sum, count) => sum + count, 0);
  if (runs >= 20 && struck < runs * 0.4) few.push(`only ${struck} faults came about in ${runs} runs`);
  if (runs < manyRuns) return few;
  const unstruck = faultKinds.filter((kind) => faults[kind] === undefined);
  const missed = interruptible.filter(
    ({ call }) => !Object.keys(interrupted).some((key) => key.endsWith(` ${call}`)),
  );
  return [
    ...few,
    ...unstruck.map((kind) => `no ${kind} came about`),
    ...missed
      .filter(({ call }) => !rare.includes(call) || runs >= 2_000)
      .map(({ call }) => `no ${call} was interrupted`),
  ];
}

/** Calls that few stories come to. */
const rare = [
  "log.abandon",
  "sweep.fireTimer",
  "doorbell.ringTimer",
  "channel.find",
  "log.renew",
  "doorbell.ringThread",
];

/** Most runs until a planted bug has to be caught. */
const bugRuns = 40;

export async function catchAll(
  lanes: readonly Lane[],
  { bugs, firstSeed }: { bugs: readonly Bug[]; firstSeed: number },
  told: (caught: CaughtBug) => void,
): Promise<CaughtBug[]> {
  const left = [...bugs];
  const caught: CaughtBug[] = [];
  await Promise.all(
    lanes.map(async (lane) => {
      for (let bug = left.shift(); bug !== undefined; bug = left.shift()) {
        const result = await catchOne(lane, bug, firstSeed);
        caught.push(result);
        told(result);
      }
      await lane.plant(null);
    }),
  );
  return caught;
}

async function catchOne(lane: Lane, bug: Bug, firstSeed: number): Promise<CaughtBug> {
  await lane.plant(bug);
  const { name, what } = bug;
  for (let runs = 1; runs <= bugRuns; runs++) {
    const { violations } = await lane.play(storyFor(bug, firstSeed + runs));
    const caught = violations.find(({ check }) => bug.caughtBy.includes(check));
    if (caught !== undefined) return { name, what, caughtBy: caught.check, example: caught.what, runs };
  }
  return { name, what, caughtBy: null, example: "", runs: bugRuns };
}
