import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Agent, AgentEnvironment } from "../../agents/agent.ts";
import { bundledAgents, loadAgents } from "../../agents/registry.ts";
import { readEvals, runEvals } from "../../agents/runtime/evals.ts";
import { loadPrompts } from "../../agents/runtime/prompts.ts";
import { readConfig } from "../../gateway/config/index.ts";
import { startTempPostgres, type TempPostgres } from "../support/temp-postgres.ts";
import { contextOf, environmentOf, path, run, tempFolder, toolOf } from "./bundled-environment.ts";

let database: TempPostgres;
beforeAll(async () => {
  database = await startTempPostgres();
});
afterAll(() => database.close());

let temp: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  temp = await tempFolder();
});
afterEach(() => temp.remove());

async function files(contents: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(dirname(join(temp.folder, name)), { recursive: true });
    await writeFile(join(temp.folder, name), text);
  }
}

async function environmentFor(name: string): Promise<AgentEnvironment> {
  const folder = join(temp.folder, "state", name);
  await mkdir(folder, { recursive: true });
  return environmentOf(folder, database.query, { configFolder: temp.folder });
}

const load = (enabled: string[] | null, more = {}): Promise<Map<string, Agent>> =>
  loadAgents({ path: join(temp.folder, "own"), enabled, environmentFor, ...more });

const tool = (more = "") =>
  `defineTool({ name: "look", description: "Looks.", input: z.object({}), effect: "read", approval: null, timeoutMs: 1000, run: async () => 1, ${more} })`;
const source = (name: string, parts: string) =>
  `export default ({ defineAgent, defineTool, z }) => defineAgent("${name}", () => ({ description: "An agent.", ${parts} }));`;

it("loads the bundled agents, and their prompts render with their variables", async () => {
  const agents = await loadAgents({ path: null, enabled: null, environmentFor });
  const prompts = await loadPrompts([join(import.meta.dirname, "../../prompts")]);

  expect([...agents.keys()]).toEqual(bundledAgents.map(({ name }) => name));
  for (const agent of agents.values()) expect(prompts.check(agent.name, agent.promptVariables())).toEqual([]);
});

it("loads agents written in TypeScript and in JavaScript, and leaves other folders alone", async () => {
  await files({
    "own/typed/agent.ts": source("typed", `tools: [${tool()}]`).replace(
      "() => ({",
      "(environment: object) => ({",
    ),
    "own/plain/agent.mjs": source("plain", `tools: [${tool()}], handoffTo: ["typed", "person"]`),
    "own/prompts/index.yaml": "{}",
    "own/node_modules/x/index.js": "",
    "own/.git/HEAD": "",
    "own/README.md": "# Mine",
  });

  const agents = await load(["typed", "plain"]);

  expect([...agents.keys()]).toEqual(["plain", "typed"]);
  expect(agents.get("plain")?.limits.maxSteps).toBe(8);
});

it("takes a definition that imports Parley by path as well as the function form", async () => {
  const contract = join(import.meta.dirname, "../../agents/kit.ts");
  await files({
    "own/direct/agent.ts": `import { defineAgent, defineTool, z, type Agent } from ${JSON.stringify(contract)};
      export default defineAgent("direct", () => ({ description: "Direct.", tools: [${tool()}] }));`,
  });

  expect((await load(["direct"])).get("direct")?.tools).toHaveLength(1);
});

it("does not run the code of an agent that is not enabled", async () => {
  await files({
    "own/good/agent.ts": source("good", "tools: []"),
    "own/broken/agent.ts": "throw new Error('was run')",
  });

  expect([...(await load(["good"])).keys()]).toEqual(["good"]);
  await expect(load(["good", "broken"])).rejects.toThrow(/own\/broken: was run/);
});

it("lists each broken folder with its reason, all at once", async () => {
  await files({
    "own/a-empty/notes.txt": "",
    "own/b-syntax/agent.mjs": "export default (((",
    "own/c-nothing/agent.ts": "export const x = 1;",
    "own/d-name/agent.ts": source("other", "tools: []"),
    "own/deploybot/agent.ts": source("deploybot", "tools: []"),
    "own/e-throws/agent.ts": `export default ({ defineAgent }) => defineAgent("e-throws", () => { throw new Error("rota is missing"); });`,
    "own/f-steps/agent.ts": source("f-steps", "tools: [], limits: { maxSteps: 21 }"),
    "own/g-tools/agent.ts": source(
      "g-tools",
      `tools: [${tool('name: "Look-Up"')}, ${tool('effect: "maybe", approval: undefined')}, ${tool("input: {}")}]`,
    ),
    "own/h-reserved/agent.ts": source("h-reserved", `tools: [${tool('name: "reply"')}]`),
    "own/i-twice/agent.ts": source("i-twice", `tools: [${tool()}, ${tool()}]`),
  });

  const failure = await load(null).then(
    () => ({ problems: [] }),
    (error: { problems: string[] }) => error,
  );

  const expected = [
    /a-empty: has no agent\.ts, agent\.mjs, agent\.js/,
    /b-syntax: /,
    /c-nothing: agent\.ts must export a definition made by defineAgent/,
    /d-name: the agent is called other, but its folder d-name/,
    /own\/deploybot: deploybot is the name of a bundled agent/,
    /e-throws: rota is missing/,
    /f-steps: maxSteps is 21; it must be 1 to 20/,
    /g-tools: tool Look-Up: its name must be lower case/,
    /g-tools: tool look: its effect must be one of/,
    /g-tools: tool look: its approval must be/,
    /g-tools: tool look: its input must be a z\.object/,
    /h-reserved: .*reply/,
    /i-twice: .*look/,
  ];
  for (const pattern of expected)
    expect(failure.problems, String(pattern)).toContainEqual(expect.stringMatching(pattern));
  expect(failure.problems).toHaveLength(expected.length);
});

it("says which agents there are when an unknown one is enabled", async () => {
  await files({ "own/mine/agent.ts": source("mine", "tools: []") });

  await expect(load(["mine", "yours"])).rejects.toThrow(
    "agents.enabled names yours, but there is no such agent (known: deploybot, support, mine)",
  );
});

it("refuses to hand over to an agent that is not loaded, and to itself", async () => {
  await files({ "own/mine/agent.ts": source("mine", 'tools: [], handoffTo: ["support", "mine", "person"]') });

  await expect(load(["mine"])).rejects.toMatchObject({
    problems: [
      "agent mine: handoffTo names support, which is no loaded agent",
      "agent mine: handoffTo names mine, which is itself",
    ],
  });
});

it("says so when the folder of own agents does not exist", async () => {
  await expect(load([])).rejects.toThrow(/^agents\.path .*own: /);
});

/** The boxes of docs/agents.md that name a file. */
async function documentedFiles(): Promise<Record<string, string>> {
  const page = await readFile(join(import.meta.dirname, "../../docs/agents.md"), "utf8");
  const boxes = [...page.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm)];
  return Object.fromEntries(boxes.map(([, name, text]) => [name, text]));
}

it("runs the agent that docs/agents.md builds, exactly as it stands there", async () => {
  const documented = await documentedFiles();
  expect(Object.keys(documented)).toEqual([
    "parley.yaml",
    "rota.json",
    "my-agents/oncall/agent.ts",
    "my-agents/prompts/index.yaml",
    "my-agents/prompts/oncall/v1.md",
    "my-agents/oncall/evals.yaml",
  ]);
  const pages: unknown[] = [];
  const pager = createServer(async (request, response) => {
    const body = JSON.parse(await text(request));
    pages.push({ key: request.headers["idempotency-key"], ...body });
    response.end();
  });
  await new Promise<void>((resolve) => pager.listen(0, "127.0.0.1", resolve));
  const { port } = pager.address() as AddressInfo;
  await files(documented);
  await writeFile(join(temp.folder, "parley.yaml"), documented["parley.yaml"]!.replace("9099", String(port)));
  const config = readConfig({ cwd: temp.folder, env: { PATH: path } });

  const agents = await loadAgents({
    path: config.agents.path,
    enabled: config.agents.enabled,
    environmentFor: (name) =>
      environmentOf(temp.folder, database.query, {
        settings: config.agents.settings[name] ?? {},
        configFolder: temp.folder,
      }),
  });
  const oncall = agents.get("oncall")!;
  const prompts = await loadPrompts([join(temp.folder, "my-agents/prompts")]);
  const evals = await runEvals(
    await readEvals(join(temp.folder, "my-agents/oncall/evals.yaml")),
    oncall.offline!,
  );

  expect(prompts.check("oncall", oncall.promptVariables())).toEqual([]);
  expect(evals.filter(({ passed }) => !passed)).toEqual([]);
  expect(await run(oncall, "who_is_on_call", { day: "wednesday" })).toEqual({
    day: "wednesday",
    person: "ben",
  });
  expect(config.policies).toHaveProperty(String(toolOf(oncall, "page").approval));
  const context = contextOf({ idempotencyKey: "k-7" });
  expect(await run(oncall, "page", { person: "ben", message: "shop down" }, context)).toEqual({
    paged: "ben",
  });
  expect(pages).toEqual([{ key: "k-7", person: "ben", message: "shop down" }]);
  pager.closeAllConnections();
  await new Promise((resolve) => pager.close(resolve));
});
