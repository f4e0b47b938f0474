import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Command, runCommand } from "../../../agents/deploybot/command.ts";
import { path, tempFolder } from "../bundled-environment.ts";

let temp: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  temp = await tempFolder();
});
afterEach(() => temp.remove());

const sh = (script: string, more: Partial<Command> = {}): Command => ({
  argv: ["/bin/sh", "-c", script],
  cwd: temp.folder,
  env: { PATH: path },
  timeoutMs: 20_000,
  signal: new AbortController().signal,
  ...more,
});

/** A zombie that nobody has collected yet is not alive. */
const alive = (pid: number): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.startsWith("Z");
};

it("hands arguments over as they are, whatever a shell would make of them", async () => {
  const hostile = ["$(touch owned)", "; touch owned", "a b", "--flag", "`id`", "*"];

  const end = await runCommand({ ...sh(""), argv: ["printf", "%s\\n", ...hostile] });

  expect(end.output.trimEnd().split("\n")).toEqual(hostile);
  await expect(readFile(join(temp.folder, "owned"))).rejects.toThrow();
});

it("gives a command nothing of this server's environment but what it was handed", async () => {
  process.env.SECRET_OF_THE_SERVER = "hunter2";
  const end = await runCommand(sh("env", { env: { PATH: path, GREETING: "hello" } }));
  delete process.env.SECRET_OF_THE_SERVER;

  expect(end.output).toContain("GREETING=hello");
  expect(end.output).not.toContain("hunter2");
});

it("keeps the last 8 KB of what both streams say, without control characters", async () => {
  const end = await runCommand(
    sh(
      `i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; printf '\\033[31mred\\033[0m\\007\\n' >&2; exit 3`,
    ),
  );

  expect(end.exitCode).toBe(3);
  expect(end.output).toContain("line 2999");
  expect(end.output).toMatch(/red\n$/);
  expect(end.output).not.toContain("line 100\n");
  expect(end.output.length).toBeLessThanOrEqual(8 * 1024);
});

it("reads end of file on its standard input instead of waiting", async () => {
  const end = await runCommand(sh("cat; echo read"));

  expect(end).toMatchObject({ exitCode: 0, output: "read\n" });
});

it("stops the command and its children when it takes too long", async () => {
  const end = await runCommand(
    sh("(trap '' TERM; exec sleep 60 >/dev/null 2>&1) & echo $! >child; wait", { timeoutMs: 300 }),
  );

  expect(end.stopped).toBe("timeout");
  expect(end.durationMs).toBeLessThan(5_000);
  const child = Number(await readFile(join(temp.folder, "child"), "utf8"));
  await sleep(100);
  expect(alive(child)).toBe(false);
});

it("kills a command that ignores being asked to stop", async () => {
  const end = await runCommand(sh("trap '' TERM; while :; do sleep 1; done", { timeoutMs: 200 }));

  expect(end).toMatchObject({ stopped: "timeout", exitCode: null });
}, 15_000);

it("stops the command when the call is aborted", async () => {
  const controller = new AbortController();
  const ended = runCommand(sh("sleep 60", { signal: controller.signal }));
  setTimeout(() => controller.abort(), 100);

  expect((await ended).stopped).toBe("aborted");
});

it("ends although a child in the background keeps the output open", async () => {
  const end = await runCommand(sh("sleep 8 & echo $! >child; echo done"));
  process.kill(Number(await readFile(join(temp.folder, "child"), "utf8")));

  expect(end).toMatchObject({ exitCode: 0, output: "done\n" });
  expect(end.durationMs).toBeLessThan(4_000);
});

it("says so when there is no such program", async () => {
  await expect(runCommand({ ...sh(""), argv: ["no-such-program-here"] })).rejects.toThrow(
    "no-such-program-here could not be started: there is no such program",
  );
});
