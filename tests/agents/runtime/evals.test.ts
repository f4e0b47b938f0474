import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { offlineScript as deploybot } from "../../../agents/deploybot/offline.ts";
import { type EvalCase, readEvals, runEvals } from "../../../agents/runtime/evals.ts";
import { reply } from "../../../agents/runtime/offline-steps.ts";
import { offlineScript as support } from "../../../agents/support/offline.ts";

const agentFile = (name: string): string => join(import.meta.dirname, `../../../agents/${name}/evals.yaml`);

it("passes every case of deploybot with the offline stand-in", async () => {
  const script = deploybot({
    services: ["backend", "frontend"],
    environments: [{ name: "staging" }, { name: "production" }],
  });

  const results = await runEvals(await readEvals(agentFile("deploybot")), script);

  expect(results.filter(({ passed }) => !passed)).toEqual([]);
  expect(results.length).toBeGreaterThan(5);
});

it("passes every case of support with the offline stand-in", async () => {
  const results = await runEvals(
    await readEvals(agentFile("support")),
    support({ shop: "Nordlicht Office" }),
  );

  expect(results.filter(({ passed }) => !passed)).toEqual([]);
  expect(results.length).toBeGreaterThan(5);
});

const oneCase = (expected: Partial<EvalCase["expect"]>): EvalCase => ({
  name: "a case",
  message: "hi",
  since: [],
  prefetched: {},
  expect: { intent: ["reply"], args: {}, contains: [], lacks: [], ...expected },
});

it("names everything that a step misses", async () => {
  const cases = [oneCase({ intent: ["deploy"], args: { tag: "v1" }, contains: ["Blue"], lacks: ["green"] })];

  const [result] = await runEvals(cases, () => reply("It is Green."));

  expect(result?.misses).toEqual([
    "intent is reply, not deploy",
    'args.tag is undefined, not "v1"',
    '"Blue" is missing in: It is Green.',
    '"green" should not be in: It is Green.',
  ]);
});

it("goes on with the other cases when deciding throws", async () => {
  let asked = 0;
  const results = await runEvals([oneCase({}), oneCase({})], () => {
    if (++asked === 1) throw new Error("no model");
    return reply("hello");
  });

  expect(results.map(({ passed, misses }) => [passed, misses])).toEqual([
    [false, ["deciding failed: no model"]],
    [true, []],
  ]);
});

it("lists every problem of a file of evals", async () => {
  const folder = await mkdtemp(join(tmpdir(), "parley-evals-"));
  const file = join(folder, "evals.yaml");
  await writeFile(file, "cases:\n  - name: ''\n    message: hi\n    expect: {}\n    typo: 1\n");

  await expect(readEvals(file)).rejects.toMatchObject({
    problems: [
      expect.stringContaining("cases[0].name"),
      expect.stringContaining("cases[0].expect.intent"),
      expect.stringContaining("typo"),
    ],
  });
  await rm(folder, { recursive: true });
});
