/**
 * `npm run crash -- --runs N --seed S`: plays seeded stories, kills and freezes what they run on, and checks from outside
 * what came of it. `--bugs` plants bugs instead and fails for each that is not caught. Exit code 0: nothing was found.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { bugs } from "./bugs/index.ts";
import { type Campaign, type CaughtBug, catchAll, playAll, queueOf, vacuity } from "./campaign.ts";
import { type Lane, openLane, type QueueKind } from "./lane.ts";
import { machine, writeReport } from "./report.ts";
import type { Story } from "./words.ts";

const usage = `Usage: npm run crash -- [options]
  --runs N        runs, one for each seed (default 300)
  --seed S        the first seed (default 1); "--seed S --runs 1" repeats a run
  --lanes N       stories played side by side, each with servers of its own (default 4)
  --bugs          plant bugs instead of judging the program; every one has to be caught
  --bug NAME      only this bug; may be repeated
  --story FILE    plays the story of this JSON file once, as a violation prints it
  --report FILE   writes FILE.json and FILE.md`;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
    lanes: { type: "string", default: "4" },
    bugs: { type: "boolean", default: false },
    bug: { type: "string", multiple: true, default: [] },
    story: { type: "string" },
    report: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const wholeNumber = (name: "runs" | "seed" | "lanes"): number => {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name} takes a whole number above 0`);
  return process.exit(2);
};

async function withLanes<T>(kinds: readonly QueueKind[], use: (lanes: Lane[]) => Promise<T>): Promise<T> {
  const lanes = await Promise.all(kinds.map(openLane));
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(
      signal,
      () => void Promise.all(lanes.map((lane) => lane.close())).finally(() => process.exit(130)),
    );
  try {
    return await use(lanes);
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
  }
}

function progress(done: number, of: number, found: number): void {
  const line = `${done} of ${of} runs, ${found} with a violation`;
  if (process.stdout.isTTY) process.stdout.write(`\r${line}`);
  else if (done % 50 === 0) console.log(line);
}

async function judge(): Promise<Campaign> {
  const [firstSeed, runs] = [wholeNumber("seed"), wholeNumber("runs")];
  const kinds = Array.from({ length: Math.min(wholeNumber("lanes"), runs) }, (_, at) =>
    queueOf(firstSeed + at),
  );
  const campaign = await withLanes(kinds, (lanes) => playAll(lanes, { firstSeed, runs }, progress));
  if (process.stdout.isTTY) console.log();
  for (const { seed, violations, story } of campaign.found) {
    console.log(`\nSeed ${seed}: npm run crash -- --seed ${seed} --runs 1`);
    for (const { promise, check, what } of violations) console.log(`  promise ${promise}, ${check}: ${what}`);
    console.log(`  smallest story: ${JSON.stringify(story)}`);
  }
  const { operations, durationMs } = campaign;
  console.log(`${campaign.runs} runs in ${Math.round(durationMs / 1_000)} s; ${JSON.stringify(operations)}`);
  console.log(`faults: ${JSON.stringify(campaign.faults)}`);
  return campaign;
}

async function plantAll(): Promise<CaughtBug[]> {
  const chosen = bugs.filter(({ name }) => values.bug.length === 0 || values.bug.includes(name));
  const kinds = Array.from(
    { length: Math.min(wholeNumber("lanes"), chosen.length) },
    (): QueueKind => "redis",
  );
  return withLanes(kinds, (lanes) =>
    catchAll(lanes, { bugs: chosen, firstSeed: wholeNumber("seed") }, ({ name, caughtBy, example, runs }) =>
      console.log(
        caughtBy === null
          ? `${name}: NOT CAUGHT in ${runs} runs`
          : `${name}: caught by ${caughtBy} in run ${runs} (${example})`,
      ),
    ),
  );
}

async function replay(file: string): Promise<number> {
  const story = JSON.parse(await readFile(file, "utf8")) as Story;
  return withLanes([queueOf(story.seed)], async ([lane]) => {
    const run = await lane?.play(story);
    console.log(
      JSON.stringify({ violations: run?.violations, hits: run?.hits, history: run?.history }, null, 2),
    );
    return run?.violations.length ?? 0;
  });
}

async function main(): Promise<number> {
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (values.story !== undefined) return (await replay(values.story)) === 0 ? 0 : 1;
  const planted = values.bugs || values.bug.length > 0;
  const campaign = planted ? null : await judge();
  const caught = planted ? await plantAll() : [];
  const report = { at: new Date().toISOString(), machine: machine(), campaign, bugs: caught };
  if (values.report !== undefined) await writeReport(values.report, report);
  const tooLittle = campaign === null ? [] : vacuity(campaign);
  for (const why of tooLittle) console.log(`proves too little: ${why}`);
  const missed = caught.filter(({ caughtBy }) => caughtBy === null);
  if (planted) console.log(`${caught.length - missed.length} of ${caught.length} planted bugs caught`);
  return (campaign?.found.length ?? 0) + missed.length + tooLittle.length === 0 ? 0 : 1;
}

process.exit(await main());
