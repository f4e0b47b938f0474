/** `npm run crash -- --runs N --seed S`: see tests/crash/README.md. */
import { parseArgs } from "node:util";
import { openLane, type RunResult } from "./lane.ts";
import { storyOf } from "./story.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "10" }, seed: { type: "string", default: "1" } },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
const lane = await openLane("redis");
const started = Date.now();
for (let n = seed; n < seed + runs; n++) {
  const r: RunResult = await lane.play(storyOf(n));
  console.log(
    n,
    Math.round(r.durationMs),
    JSON.stringify(r.operations),
    JSON.stringify(r.story.faults),
    JSON.stringify(r.hits),
    r.violations.length ? JSON.stringify(r.violations) : "",
  );
}
console.log((Date.now() - started) / runs, "ms a run");
await lane.close();
process.exit(0);
