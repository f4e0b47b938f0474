/** .ci/run runs what the README and CONTRIBUTING tell people to run, and its closing line tells the truth. */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { programFolders, root } from "./sources.ts";

const script = readFileSync(join(root, ".ci/run"), "utf8");

describe(".ci/run", () => {
  it("can be run, and is bash without mistakes", () => {
    expect(statSync(join(root, ".ci/run")).mode & 0o111).toBe(0o111);
    expect(spawnSync("bash", ["-n", join(root, ".ci/run")], { encoding: "utf8" }).stderr).toBe("");
  });

  it("installs, tests and checks by the same commands as everybody", () => {
    const told = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
    const stages = script.split("\n").filter((line) => /^\s*(if )?stage /.test(line));
    const commands = stages.map((line) => /npm (ci|test|run check)(?=$|'| \|\|)/.exec(line)?.[0]);
    expect(commands).toEqual(["npm ci", "npm test", "npm run check"]);
    for (const command of commands) expect(told).toContain(command);
  });

  it("is the only place that knows where shared material lies", () => {
    const outside = ["..", "shared"].join("/");
    const files = globSync(
      [
        `{${[...programFolders, "tests", "bench", "scripts", "bin"].join(",")}}/**/*.{ts,mjs,md}`,
        "*.{md,ts,json}",
      ],
      {
        cwd: root,
      },
    );
    expect(files.filter((file) => readFileSync(join(root, file), "utf8").includes(outside))).toEqual([]);
    expect(script).toContain(outside);
  });
});

describe("the count of .ci/run", () => {
  const passed = { status: "passed", fullName: "it works" };
  const failed = { status: "failed", fullName: "it does not" };
  const needing = {
    status: "skipped",
    fullName: "a suite (needs redis-server: apt-get install redis-server) works",
  };
  const elsewhere = { status: "skipped", fullName: "as root (skipped for ordinary users) works" };
  const file = (status: string, ...assertionResults: object[]) => ({
    name: "a.test.ts",
    status,
    assertionResults,
  });

  it("is that of the report", () => {
    expect(count([file("passed", passed, passed), file("failed", passed, failed)])).toBe("3 1");
  });

  it("takes a test that was left out for want of a program as failed, and no other one", () => {
    expect(count([file("passed", passed, needing, elsewhere)])).toBe("1 1");
  });

  it("takes a file that could not be loaded, no test at all, and no report, as failed", () => {
    expect(count([file("passed", passed), file("failed")])).toBe("1 1");
    expect(count([])).toBe("0 1");
    expect(count(null)).toBe("0 1");
  });
});

/** What the script's own counting says of a report: its last line. */
function count(testResults: object[] | null): string | undefined {
  const [, program] = /<<'JS'\n([\s\S]*?)\nJS\n/.exec(script) ?? [];
  const folder = mkdtempSync(join(tmpdir(), "parley-ci-"));
  const report = join(folder, "tests.json");
  try {
    if (testResults !== null) writeFileSync(report, JSON.stringify({ testResults }));
    const { stdout } = spawnSync(process.execPath, ["-", report], { input: program, encoding: "utf8" });
    return stdout.trim().split("\n").at(-1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
