import { execFileSync, spawn } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Agent } from "../../../agents/agent.ts";
import deploybot from "../../../agents/deploybot/agent.ts";
import { openDeployments } from "../../../agents/deploybot/deployments.ts";
import { gitMissing } from "../../../agents/deploybot/git.ts";
import type { JsonObject } from "../../../core/json.ts";
import { startTempPostgres, type TempPostgres } from "../../support/temp-postgres.ts";
import { contextOf, environmentOf, path, run, tempFolder, toolOf } from "../bundled-environment.ts";

let database: TempPostgres;
beforeAll(async () => {
  database = await startTempPostgres();
});
afterAll(() => database.close());

let temp: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  await database.query("drop schema if exists agent_deploybot cascade");
  temp = await tempFolder();
});
afterEach(() => temp.remove());

const loadDemo = (more = {}): Promise<Agent> =>
  deploybot.load(environmentOf(temp.folder, database.query, more));
const releases = (): Promise<string> =>
  readFile(join(temp.folder, "demo/releases/releases.log"), "utf8").catch(() => "");

async function found(agent: Agent, tag: string): Promise<{ service: string; tag: string; commit: string }> {
  const { service, commit } = (await run(agent, "find_tag", { service: "backend", tag })) as Record<
    string,
    string
  >;
  return { service: service!, tag, commit: commit! };
}

it("builds a demo repository with an empty home and no git identity, the same every time", async () => {
  const agent = await loadDemo();
  const { commit } = await found(agent, "v1.4.2");
  const repository = join(temp.folder, "demo/backend");

  expect(execFileSync("git", ["-C", repository, "tag"], { encoding: "utf8" }).trim().split("\n")).toEqual([
    "v1.2.0",
    "v1.3.0",
    "v1.3.1",
    "v1.4.0",
    "v1.4.1",
    "v1.4.2",
  ]);
  expect(execFileSync("git", ["-C", repository, "status", "--porcelain"], { encoding: "utf8" })).toBe("");
  expect(await readFile(join(repository, "VERSION"), "utf8")).toBe("v1.4.2\n");
  const other = await tempFolder();
  const again = await deploybot.load(environmentOf(other.folder, database.query));
  expect((await found(again, "v1.4.2")).commit).toBe(commit);
  await other.remove();
});

it("builds one demo when several workers start at once, and leaves no drafts", async () => {
  const agents = await Promise.all(Array.from({ length: 6 }, () => loadDemo()));

  expect(agents).toHaveLength(6);
  expect(await readdir(temp.folder)).toEqual(["demo"]);
});

it("deploys through the demo's script and knows it afterwards", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.4.2")), environment: "production" };

  const result = (await run(agent, "deploy", target)) as JsonObject;

  expect(result).toMatchObject({ outcome: "succeeded", ...target });
  expect(result.output).toContain("backend v1.4.2 runs in production");
  expect(await releases()).toMatch(/deploy\tbackend\tv1\.4\.2\t[0-9a-f]{40}\tproduction\tby=ada/);
  expect(
    await run(agent, "deployment_status", { service: "backend", environment: "production" }),
  ).toMatchObject({
    current: { tag: "v1.4.2", status: "succeeded", requester: "ada" },
    previous: { tag: "v1.4.1" },
  });
});

it("does nothing the second time a key comes, and gives the first result", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.4.2")), environment: "staging" };
  const context = contextOf();

  const first = await run(agent, "deploy", target, context);
  const second = await run(agent, "deploy", target, { ...context, attempt: 2 });

  expect(second).toEqual(first);
  expect((await releases()).trim().split("\n")).toHaveLength(1);
});

it("goes on after a worker died between the effect and its record, without a second release", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.4.2")), environment: "staging" };
  const context = contextOf();
  const first = (await run(agent, "deploy", target, context)) as JsonObject;
  await database.query(
    "update agent_deploybot.deployments set status = 'running', output = '' where idempotency_key = $1",
    [context.idempotencyKey],
  );

  const second = (await run(agent, "deploy", target, { ...context, attempt: 2 })) as JsonObject;

  expect(second.output).toBe(first.output);
  expect((await releases()).trim().split("\n")).toHaveLength(1);
});

it("waits for a script that outlived its worker rather than running beside it", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.4.2")), environment: "staging" };
  const demo = join(temp.folder, "demo");
  const context = contextOf();
  const argv = ["deploy", "backend", "v1.4.2", "staging", join(demo, "backend"), join(demo, "releases")];
  const env = { PATH: path, PARLEY_IDEMPOTENCY_KEY: context.idempotencyKey, PARLEY_COMMIT: target.commit };
  const orphan = spawn(join(demo, "deploy.sh"), argv, { env, stdio: ["ignore", "pipe", "ignore"] });
  orphan.stdout.destroy();
  await sleep(300);

  const result = (await run(agent, "deploy", target, context)) as JsonObject;

  expect(result.outcome).toBe("succeeded");
  expect((await releases()).trim().split("\n")).toHaveLength(1);
});

it("refuses when the tag points elsewhere than what was approved, and runs nothing", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.4.2")), environment: "production" };
  execFileSync("git", ["-C", join(temp.folder, "demo/backend"), "tag", "-f", "v1.4.2", "v1.2.0^{commit}"], {
    stdio: "ignore",
  });

  await expect(run(agent, "deploy", target)).rejects.toThrow(
    /names the commit [0-9a-f]{12}, not [0-9a-f]{12}\. Nothing was run/,
  );
  expect(await releases()).toBe("");
});

it("gives the first result again although the tag was moved since", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.4.2")), environment: "staging" };
  const context = contextOf();
  const first = await run(agent, "deploy", target, context);
  const repository = join(temp.folder, "demo/backend");
  execFileSync("git", ["-C", repository, "tag", "-f", "v1.4.2", "v1.2.0^{commit}"], { stdio: "ignore" });

  expect(await run(agent, "deploy", target, { ...context, attempt: 2 })).toEqual(first);
});

it("names the nearest tags when one is unknown", async () => {
  const agent = await loadDemo();

  await expect(run(agent, "find_tag", { service: "backend", tag: "1.4.9" })).rejects.toThrow(
    "backend has no tag 1.4.9. The nearest are v1.4.2, v1.4.1, v1.4.0.",
  );
});

it("takes no tag that git could read as an option or a path", async () => {
  const { input } = toolOf(await loadDemo(), "find_tag");

  for (const tag of ["--upload-pack=x", "-v", "../x", "v1 v2", "v1;id", "v1^{tree}", "v1\n", ""]) {
    expect(input.safeParse({ service: "backend", tag }).success, tag).toBe(false);
  }
});

it("asks for approval for production only, and names what is acted on", async () => {
  const tool = toolOf(await loadDemo(), "deploy");
  const args = { service: "backend", tag: "v1.4.2", commit: "a".repeat(40) };
  const approval = tool.approval as (args: object) => string | null;

  expect(approval({ ...args, environment: "staging" })).toBeNull();
  expect(approval({ ...args, environment: "production" })).toBe("production-deploys");
  expect(tool.subject?.({ ...args, environment: "production" })).toBe("backend:production");
  expect(tool.summary?.({ ...args, environment: "production" })).toBe(
    "Deploy backend v1.4.2 (aaaaaaaaaaaa) to production",
  );
  expect(tool.effect).toBe("keyed");
});

it("rolls back to what ran before, and from there further back", async () => {
  const agent = await loadDemo();
  const place = { service: "backend", environment: "production" };
  await run(agent, "deploy", { ...(await found(agent, "v1.4.2")), environment: "production" });
  await run(agent, "roll_back", { ...(await found(agent, "v1.4.1")), environment: "production" });

  expect(await run(agent, "deployment_status", place)).toMatchObject({
    current: { action: "roll_back", tag: "v1.4.1" },
    previous: { tag: "v1.4.0" },
  });
  expect(await releases()).toContain("roll-back\tbackend\tv1.4.1");
});

it("does not roll back to what never ran there", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.2.0")), environment: "production" };

  await expect(run(agent, "roll_back", target)).rejects.toThrow(
    "backend v1.2.0 has never run in production. Before the current version it was v1.4.0.",
  );
});

it("lets one deployment of a service to an environment run at a time", async () => {
  const agent = await loadDemo();
  const target = { ...(await found(agent, "v1.4.2")), environment: "staging" };

  const ends = await Promise.allSettled([
    run(agent, "deploy", target),
    run(agent, "deploy", target),
    run(agent, "deploy", target),
  ]);

  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  const refused = ends.find((end) => end.status === "rejected");
  expect(String(refused?.reason)).toContain("Another deployment of backend to staging is running right now.");
});

it("fetches environments, tags and what runs ahead", async () => {
  const agent = await loadDemo();
  const fetched = Object.fromEntries(
    await Promise.all(
      agent.prefetch.map(async ({ name, fetch }) => [name, await fetch(AbortSignal.timeout(5_000))]),
    ),
  );

  expect(fetched.environments).toEqual({
    services: ["backend", "frontend"],
    environments: [
      { name: "staging", approval: null },
      { name: "production", approval: "production-deploys" },
    ],
  });
  expect(fetched.recent_tags.backend[0]).toMatchObject({
    tag: "v1.4.2",
    subject: "Retry payments that time out",
  });
  expect(fetched.running).toHaveLength(4);
});

it("starts on a machine without git, says what is missing, and works once it is there", async () => {
  const commandEnv: Record<string, string> = { PATH: "/nonexistent" };
  const agent = await loadDemo({ commandEnv });
  await expect(run(agent, "find_tag", { service: "backend", tag: "v1.4.2" })).rejects.toThrow(gitMissing);

  commandEnv.PATH = path;
  expect(await found(agent, "v1.4.2")).toMatchObject({ tag: "v1.4.2" });
});

async function ownSettings(script: string, more = {}): Promise<JsonObject> {
  const demo = await loadDemo();
  expect(demo.name).toBe("deploybot");
  await mkdir(join(temp.folder, "bin"));
  await writeFile(join(temp.folder, "bin/deploy"), `#!/bin/sh\n${script}\n`);
  await chmod(join(temp.folder, "bin/deploy"), 0o755);
  const command = ["./bin/deploy", "{service}", "{tag}", "{commit}", "{environment}", "plain"];
  return {
    services: { backend: { repository: "demo/backend" } },
    environments: { staging: { command, approval: null }, production: { command, approval: "ops" } },
    ...more,
  };
}

it("runs a user's own command with the arguments and variables it promises", async () => {
  const settings = await ownSettings('echo "$@"; env | grep PARLEY_ | sort; pwd');
  const agent = await loadDemo({ settings });
  const target = { ...(await found(agent, "v1.3.0")), environment: "production" };

  const { output } = (await run(agent, "deploy", target, contextOf({ idempotencyKey: "k-1" }))) as {
    output: string;
  };

  expect(output.split("\n")).toEqual([
    `backend v1.3.0 ${target.commit} production plain`,
    "PARLEY_ACTION=deploy",
    "PARLEY_APPROVAL_POLICY=ops",
    "PARLEY_APPROVED=1",
    "PARLEY_ATTEMPT=1",
    `PARLEY_COMMIT=${target.commit}`,
    "PARLEY_ENVIRONMENT=production",
    "PARLEY_IDEMPOTENCY_KEY=k-1",
    "PARLEY_REQUESTER=ada",
    "PARLEY_SERVICE=backend",
    "PARLEY_TAG=v1.3.0",
    "PARLEY_THREAD_ID=thread-1",
    temp.folder,
    "",
  ]);
  expect(toolOf(agent, "deploy").effect).toBe("once");
});

it("runs a command again after a crash on its own only when the settings say that it honours the key", async () => {
  const agent = await loadDemo({ settings: await ownSettings("true", { commandsHonourKey: true }) });

  expect(toolOf(agent, "deploy").effect).toBe("keyed");
});

it("tells why a command failed, and the record keeps it", async () => {
  const agent = await loadDemo({
    settings: await ownSettings("echo starting; echo no disk space >&2; exit 7"),
  });
  const target = { ...(await found(agent, "v1.3.0")), environment: "staging" };

  await expect(run(agent, "deploy", target)).rejects.toThrow(
    "Deploying backend v1.3.0 in staging failed. The command ended with exit code 7: no disk space",
  );
  const history = await (await openDeployments(database.query)).history("backend", "staging", 1);
  expect(history).toMatchObject([{ status: "failed", output: "starting\nno disk space\n" }]);
});

it("lets a call that was stopped with its worker run again under the same key", async () => {
  const settings = await ownSettings('[ "$PARLEY_ATTEMPT" = 2 ] || sleep 30; echo through');
  const agent = await loadDemo({ settings });
  const target = { ...(await found(agent, "v1.3.0")), environment: "staging" };
  const context = contextOf();

  const stopped = run(agent, "deploy", target, { ...context, signal: AbortSignal.timeout(400) });
  await expect(stopped).rejects.toThrow("It was stopped before it ended.");

  expect(await run(agent, "deploy", target, { ...context, attempt: 2 })).toMatchObject({
    output: "through\n",
  });
});

it("lists every repository that cannot be read when it is loaded", async () => {
  const settings = {
    services: { one: { repository: "gone" }, two: { repository: "." } },
    environments: { staging: { command: ["true"], approval: null } },
  };

  await expect(loadDemo({ settings })).rejects.toMatchObject({
    problems: [
      expect.stringMatching(/services\.one\.repository: there is no folder/),
      expect.stringMatching(/services\.two\.repository: .*not a git repository/),
    ],
  });
});
