import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isGone, makeCheckout, type Running, run, unfitNode, until } from "./launching.ts";

/** Says its pid and arguments, ends on the orders a test gives, and outlives everything it is not told about. */
const scriptedMain = `
import { onOrphaned } from "../bin/lifeline.mjs";
const type: string = "typescript";
console.log(JSON.stringify({ pid: process.pid, args: process.argv.slice(2), node: process.versions.node, type }));
const [order, value] = process.argv.slice(2);
if (order === "exit") process.exit(Number(value));
if (order === "die") process.kill(process.pid, "SIGKILL");
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {
  console.log("got " + signal);
  process.exit(7);
});
onOrphaned(() => { process.exit(0); });
setInterval(() => {}, 1000);
`;

/** Like npm: runs the command through a shell that stays, and names the script in the environment. */
const npmLike = (command: string[]) => `
import { spawn } from "node:child_process";
spawn("sh", ["-c", '"$@"; exit $?', "sh", ...${JSON.stringify(command)}], {
  stdio: "inherit", env: { ...process.env, npm_lifecycle_event: "start" } });
setInterval(() => {}, 1000);
`;

const checkout = makeCheckout(scriptedMain);
const parley = join(checkout.folder, "bin", "parley.mjs");
const remembered = join(
  checkout.folder,
  "node_modules",
  ".cache",
  "parley",
  `node-24-${process.platform}-${process.arch}`,
);
const leftovers: number[] = [];

/** The fit Node is this one; remembering it stands for an earlier download. */
function rememberNode(path = process.execPath) {
  mkdirSync(join(remembered, ".."), { recursive: true });
  writeFileSync(remembered, path);
}

async function greeting(running: Running): Promise<{ pid: number; args: string[]; node: string }> {
  const line = await until(() => running.stdout().split("\n")[0] || undefined, 10_000);
  const words = JSON.parse(line);
  leftovers.push(words.pid);
  return words;
}

beforeAll(() => rememberNode());
afterAll(() => {
  for (const pid of leftovers) if (!isGone(pid)) process.kill(pid, "SIGKILL");
  checkout.remove();
});

describe("parley.mjs on a fit Node", () => {
  it("runs the command in its own process, without a word on stderr", async () => {
    const running = run(process.execPath, [parley, "exit", "3"]);
    const ended = await running.ended;

    expect(ended.code).toBe(3);
    expect(JSON.parse(running.stdout())).toMatchObject({ pid: running.child.pid, args: ["exit", "3"] });
    expect(running.stderr()).toBe("");
  });

  it("is told when npm above it is killed, even behind a shell", async () => {
    const npm = run(process.execPath, ["--input-type=module", "-e", npmLike([process.execPath, parley])]);
    const { pid } = await greeting(npm);
    npm.child.kill("SIGKILL");

    await until(() => isGone(pid), 3_000);
  });

  it("outlives its parent when that is not npm", async () => {
    const env = { ...process.env };
    delete env.npm_lifecycle_event;
    const running = run("sh", ["-c", '"$@" & wait', "sh", process.execPath, parley], { env });
    const { pid } = await greeting(running);
    running.child.kill("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 1_500));

    expect(isGone(pid)).toBe(false);
    process.kill(pid, "SIGKILL");
  });
});

describe.skipIf(!unfitNode)("parley.mjs on a Node that is too old (skipped where the PATH has none)", () => {
  const old = unfitNode ?? "";

  it("passes arguments and the exit code through, silently when Node 24 is at hand", async () => {
    const running = run(old, [parley, "exit", "5", "two words"]);
    const ended = await running.ended;

    expect(ended.code).toBe(5);
    const words = JSON.parse(running.stdout());
    expect(words).toMatchObject({ args: ["exit", "5", "two words"], node: process.versions.node });
    expect(words.pid).not.toBe(running.child.pid);
    expect(running.stderr()).toBe("");
  });

  it("ends by the signal that ended the command", async () => {
    expect(await run(old, [parley, "die"]).ended).toEqual({ code: null, signal: "SIGKILL" });
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("forwards %s", async (signal) => {
    const running = run(old, [parley]);
    await greeting(running);
    running.child.kill(signal);

    expect(await running.ended).toEqual({ code: 7, signal: null });
    expect(running.stdout()).toContain(`got ${signal}`);
  });

  it("leaves nothing running when it is killed with SIGKILL", async () => {
    const running = run(old, [parley]);
    const { pid } = await greeting(running);
    running.child.kill("SIGKILL");

    await until(() => isGone(pid), 3_000);
  });

  it("goes away with its child when npm above it is killed", async () => {
    const npm = run(old, ["--input-type=module", "-e", npmLike([old, parley])]);
    const { pid } = await greeting(npm);
    npm.child.kill("SIGKILL");

    await until(() => isGone(pid), 3_000);
    await npm.ended; // The launcher and the shell hold the same stdout: it closes when the last of them is gone.
  });

  it("says in one line that it fetches Node 24, and remembers it", async () => {
    const folder = fakeNpx(`echo "npm warn Unknown user config" >&2; echo; echo "${process.execPath}"`);
    rememberNode("/gone/node");
    const first = run(old, [parley, "exit", "0"], { env: { PATH: `${folder}:/usr/bin:/bin` } });
    const firstEnd = await first.ended;
    const second = run(old, [parley, "exit", "0"], { env: { PATH: "/nowhere" } });
    const secondEnd = await second.ended;

    expect([firstEnd.code, secondEnd.code]).toEqual([0, 0]);
    expect(first.stderr()).toMatch(
      /^Node v\S+ cannot run Parley \(.*\): fetching Node 24 from the npm registry, once\.\n$/,
    );
    expect(second.stderr()).toBe("");
    rmSync(folder, { recursive: true });
  });

  it.each([
    ["without npx", undefined, /npx is not on the PATH/],
    ["offline", 'echo "npm error network request to the registry failed" >&2; exit 1', /network request/],
  ])("explains the way out %s", async (_name, script, reason) => {
    const folder = fakeNpx(script);
    rememberNode("/gone/node");
    const running = run(old, [parley], { env: { PATH: folder } });
    const ended = await running.ended;
    rememberNode();

    expect(ended.code).toBe(1);
    expect(running.stderr()).toMatch(reason);
    expect(running.stderr()).toContain("Install Node 24 from https://nodejs.org/en/download");
    rmSync(folder, { recursive: true });
  });

  it("kills a tool that launch.mjs runs when the launcher is killed", async () => {
    const tool = join(checkout.folder, "tool.ts");
    writeFileSync(tool, "console.log(JSON.stringify({ pid: process.pid })); setInterval(() => {}, 1000);");
    const running = run(old, [join(checkout.folder, "bin", "launch.mjs"), tool]);
    const { pid } = await greeting(running);
    running.child.kill("SIGKILL");

    await until(() => isGone(pid), 3_000);
  });
});

describe("launch.mjs", () => {
  it("refuses what is neither a tool nor a file", async () => {
    const running = run(process.execPath, [join(checkout.folder, "bin", "launch.mjs"), "nonsense"]);

    expect((await running.ended).code).toBe(2);
    expect(running.stderr()).toContain("nonsense is neither a file nor one of vitest");
  });
});

/** A PATH folder whose npx is this script; the shell it needs comes along. */
function fakeNpx(script: string | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), "parley-npx-"));
  symlinkSync("/bin/sh", join(folder, "sh"));
  if (script === undefined) return folder;
  writeFileSync(join(folder, "npx"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "npx"), 0o755);
  return folder;
}
