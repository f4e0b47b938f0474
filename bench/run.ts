/**
 * `npm run bench [-- --short] [names]`: runs the benchmarks, prints a table each and writes JSON into bench/results/. Ends
 * with 1 when a goal was missed; in the short form goals of time are only shown, for a busy machine misses them too.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { join } from "node:path";
import { accept } from "./accept.ts";
import { embedded } from "./embedded.ts";
import { endToEnd } from "./end-to-end.ts";
import { type Result, table } from "./figures.ts";
import { scale } from "./scale.ts";
import { startUp } from "./start-up.ts";
import { statements } from "./statements.ts";
import { threadLength } from "./thread-length.ts";
import { waiting } from "./waiting.ts";

const short = process.argv.includes("--short");
const names = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const tell = (line: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
};

const endToEndSize = short
  ? { turns: 2, turnMs: 3_000, idleMessages: 50, bursts: 16, pairs: 20 }
  : { turns: 5, turnMs: 6_000, idleMessages: 300, bursts: 64, pairs: 200 };

const benchmarks: Record<string, () => Promise<Result>> = {
  "end-to-end": () => endToEnd(endToEndSize, tell),
  accept: () => accept(short ? 3_000 : 15_000, tell),
  "thread-length": () => threadLength(short ? 1_000 : 10_000, short ? 24 : 160, tell),
  waiting: () => waiting(short ? 1_000 : 100_000, tell),
  scale: () => scale(short ? 4_000 : 15_000, tell),
  statements: () => statements(short ? 20 : 100, tell),
  embedded: () => embedded(short ? 300 : 2_000, short ? 30 : 200, tell),
  "start-up": () => startUp(short ? 2 : 5, tell),
};

const unknown = names.filter((name) => benchmarks[name] === undefined);
if (unknown.length > 0) {
  console.error(
    `There is no benchmark ${unknown.join(", ")}; there are ${Object.keys(benchmarks).join(", ")}.`,
  );
  process.exit(2);
}

const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const machine = {
  platform: platform(),
  arch: arch(),
  cpus: cpus().length,
  model: cpus()[0]?.model ?? "?",
  node: process.version,
};
for (const [name, benchmark] of Object.entries(benchmarks)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const result = await benchmark();
  tell("");
  console.log(table(result));
  writeFileSync(
    join(folder, `${result.name}.json`),
    `${JSON.stringify({ ...result, short, machine, at: new Date().toISOString() }, null, 2)}\n`,
  );
  if (result.goals.some(({ met, kind }) => !met && (kind === "function" || !short))) process.exitCode = 1;
}
