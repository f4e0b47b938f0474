/**
 * `npm run bench [-- --short]`: runs every benchmark, prints a table each and writes JSON into bench/results/. Ends with 1
 * when a goal was missed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { join } from "node:path";
import { type Result, table } from "./figures.ts";
import { latency } from "./latency.ts";
import { pendingApprovals } from "./pending-approvals.ts";
import { startUp } from "./start-up.ts";

const short = process.argv.includes("--short");
const progress = (line: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
};

const benchmarks: (() => Promise<Result>)[] = [
  () => latency(short ? 100 : 500, progress),
  () => pendingApprovals(short ? 2_000 : 10_000, progress),
  () => startUp(short ? 2 : 5, progress),
];

const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const machine = {
  platform: platform(),
  arch: arch(),
  cpus: cpus().length,
  model: cpus()[0]?.model ?? "?",
  node: process.version,
};
for (const benchmark of benchmarks) {
  const result = await benchmark();
  progress("");
  console.log(table(result));
  writeFileSync(
    join(folder, `${result.name}.json`),
    `${JSON.stringify({ ...result, machine, at: new Date().toISOString() }, null, 2)}\n`,
  );
  if (result.goals.some(({ met }) => !met)) process.exitCode = 1;
}
