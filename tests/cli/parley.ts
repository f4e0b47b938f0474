/** Runs the `parley` command as a user does: a process of its own, in a folder of its own. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const main = join(import.meta.dirname, "../../cli/main.ts");

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

export interface RunOptions {
  env?: { [name: string]: string };
  input?: string;
  cwd?: string;
}

export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "parley-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function launch(
  args: readonly string[],
  { env = {}, cwd = emptyFolder() }: Omit<RunOptions, "input"> = {},
) {
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? "", HOME: cwd, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => resolve({ code, out, err }));
  });
  return { child, ended, output: () => out };
}

export function parley(args: readonly string[], { input = "", ...options }: RunOptions = {}): Promise<Ended> {
  const { child, ended } = launch(args, options);
  child.stdin.end(input);
  return ended;
}
