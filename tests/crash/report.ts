/** The report of a campaign: what was struck, what was done, what was found; as JSON and as a page for people. */
import { writeFile } from "node:fs/promises";
import { arch, cpus, platform, totalmem } from "node:os";
import { type Campaign, type CaughtBug, vacuity } from "./campaign.ts";

export interface Report {
  at: string;
  machine: string;
  campaign: Campaign | null;
  bugs: CaughtBug[];
}

export const machine = (): string =>
  `${cpus().length} x ${cpus()[0]?.model.trim() ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GB, ${platform()} ${arch()}, Node ${process.versions.node}`;

/** `file` gets the JSON, and the same name with `.md` the page. */
export async function writeReport(file: string, report: Report): Promise<void> {
  const named = file.replace(/\.(json|md)$/, "");
  await writeFile(`${named}.json`, `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(`${named}.md`, page(report));
}

export function page({ at, machine: where, campaign, bugs }: Report): string {
  return [
    "# Crash report",
    "",
    `${at}, on ${where}.`,
    ...(campaign === null ? [] : campaignPart(campaign)),
    ...(bugs.length === 0 ? [] : bugPart(bugs)),
    "",
  ].join("\n");
}

function campaignPart(campaign: Campaign): string[] {
  const { runs, firstSeed, durationMs, faults, interrupted, operations, found, slowest } = campaign;
  const byName = (counts: Record<string, number>): [string, number][] =>
    Object.entries(counts).sort(([one], [other]) => one.localeCompare(other));
  return [
    "",
    "## Runs",
    "",
    `${runs} runs, seeds ${firstSeed} to ${firstSeed + runs - 1}, in ${Math.round(durationMs / 1_000)} s`,
    `(${Math.round(durationMs / runs)} ms a run). ${found.length} runs with a violation.`,
    `${operations.messages} messages acknowledged, ${operations.replies} replies, ${operations.tools} tool runs,`,
    `${operations.decisions} decisions. The slowest: ${slowest.map(({ seed, durationMs: ms }) => `${seed} (${ms} ms)`).join(", ")}.`,
    ...vacuity(campaign).map((why) => `\nProves too little: ${why}.`),
    "",
    "| fault | came about |",
    "|---|---|",
    ...byName(faults).map(([kind, count]) => `| ${kind} | ${count} |`),
    "",
    "| call interrupted | times |",
    "|---|---|",
    ...byName(interrupted).map(([call, count]) => `| ${call} | ${count} |`),
    ...found.flatMap(({ seed, queue, violations, story }) => [
      "",
      `### Seed ${seed} (${queue})`,
      "",
      ...violations.map(({ promise, check, what }) => `- promise ${promise}, ${check}: ${what}`),
      "",
      `Smallest story: \`${JSON.stringify(story)}\``,
    ]),
  ];
}

function bugPart(bugs: readonly CaughtBug[]): string[] {
  return [
    "",
    "## Planted bugs",
    "",
    "| bug | what is wrong | caught by | in run |",
    "|---|---|---|---|",
    ...bugs.map(
      ({ name, what, caughtBy, runs }) => `| ${name} | ${what} | ${caughtBy ?? "**not caught**"} | ${runs} |`,
    ),
  ];
}
