/** docs/EVENTS.md says what the code says, in both directions. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventShape, eventTypes, eventVersion } from "../../core/events.ts";
import { openMetrics } from "../../gateway/metrics.ts";
import { type LogLine, logLines } from "./log-lines.ts";
import { argumentsOf, literals, members, nodesIn, parseFile, parseSource, sourceFiles } from "./sources.ts";
import { code, codes, tableRows } from "./tables.ts";

const page = "docs/EVENTS.md";

describe("the thread events of docs/EVENTS.md", () => {
  const rows = tableRows(page, "## Thread events");

  it("are those of the code, each once", () => {
    expect(rows.map(({ type }) => code(type)).sort()).toEqual([...eventTypes].sort());
  });

  it.each(eventTypes)("give the version and the data of %s as they are", (type) => {
    const row = rows.find((each) => code(each.type) === type);
    const shape = z.instanceof(z.ZodObject).parse(eventShape(type)).shape;
    expect(row?.version).toBe(String(eventVersion(type)));
    expect(codes(row?.data).sort()).toEqual(Object.keys(shape).sort());
  });
});

describe("the log lines of docs/EVENTS.md", () => {
  const rows = tableRows(page, "## Log lines");
  const written = sourceFiles().flatMap((path) => logLines(parseFile(path), path));
  const byEvent = Map.groupBy(written, ({ event }) => event);

  it("are those that the program can write, each once", () => {
    expect(rows.map(({ event }) => code(event)).sort()).toEqual([...byEvent.keys()].sort());
  });

  it.each([...byEvent.keys()])("give the levels and the fields of %s as they are", (event) => {
    const row = rows.find((each) => code(each.event) === event);
    const lines = byEvent.get(event) ?? [];
    const levels = new Set(lines.flatMap((line) => line.levels));
    expect(row?.level?.split(", ").sort()).toEqual([...levels].sort());
    expect(codes(row?.fields)).toEqual(expect.arrayContaining(lines.flatMap(({ fields }) => fields)));
  });
});

describe("the scan for log lines", () => {
  const scan = (source: string): LogLine[] => logLines(parseSource(source), "a file");

  it("reads names and levels that are chosen, constant, or given by a caller in the file", () => {
    expect(scan('parts.logger(fine ? "info" : "warn", "tried", { id, error: line });')).toEqual([
      { event: "tried", levels: ["info", "warn"], fields: ["id", "error"] },
    ]);
    expect(scan('const level = quiet ? "debug" : "info"; log(level, "asked", {});')).toMatchObject([
      { event: "asked", levels: ["debug", "info"] },
    ]);
    expect(
      scan('const tell = (id, name) => logger("info", name, { id }); tell(1, "a"); tell(2, "b");'),
    ).toEqual([
      { event: "a", levels: ["info"], fields: ["id"] },
      { event: "b", levels: ["info"], fields: ["id"] },
    ]);
    expect(scan('serving.log(expected ? "stopped" : "died", { pid });')).toMatchObject([
      { event: "stopped", levels: ["info"] },
      { event: "died", levels: ["info"] },
    ]);
  });

  it("leaves out what only passes an event on, and refuses a name that it cannot find", () => {
    expect(scan("log(level, event, fields); console.log('x');")).toEqual([]);
    expect(() => scan('log("info", nameOf(thing), {});')).toThrow("a file");
  });
});

describe("the metrics of docs/EVENTS.md", () => {
  const rows = tableRows(page, "## Metrics");

  it("are those that a scrape gives, with their kinds", async () => {
    const metrics = openMetrics(async () => ({ waiting: 0, active: 0, oldestMs: 0 }));
    const kinds = [...(await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)]
      .map(([, name, kind]) => `${name} ${kind}`)
      .filter((line) => !/^parley_(process|nodejs)_/.test(line));
    expect(rows.map(({ name, kind }) => `${code(name)} ${kind}`).sort()).toEqual(kinds.sort());
  });

  it("have the labels that the code gives them", () => {
    const documented = Object.fromEntries(rows.map(({ name, labels }) => [code(name), codes(labels)]));
    expect(documented).toEqual(declaredLabels());
  });
});

/** By `new Gauge({ name, labelNames })`, or by the short form for counters: `counter(name, help, labels)`. */
function declaredLabels(): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const labelsIn = (list: unknown): string[] => [...nodesIn(list)].flatMap((node) => literals(node));
  for (const node of nodesIn(parseFile("gateway/metrics.ts"))) {
    const [first, , third] = node.type === "CallExpression" ? argumentsOf(node) : [];
    const short = node.type === "CallExpression" ? (node.callee as { value?: string }).value : undefined;
    if (short === "counter") found[`parley_${literals(first)[0]}_total`] = labelsIn(third);
    if (node.type !== "NewExpression") continue;
    const options = members(argumentsOf(node)[0]);
    const [name] = literals(options.get("name"));
    if (name !== undefined) found[name] = labelsIn(options.get("labelNames"));
  }
  return found;
}
