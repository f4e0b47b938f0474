/** The image's folder, laid out by the Dockerfile's own COPY lines, and processes in it as the containers run them. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { copiesOf, type Instruction, isIgnored, root } from "./files.ts";

export interface Layout {
  readonly folder: string;
  close(): void;
}

/** What a stage has in its folder: what it copies from the repository, as far as the builder gets it, and packages. */
export function layOut(stage: readonly Instruction[]): Layout {
  const folder = mkdtempSync(join(tmpdir(), "parley-image-"));
  const below = root.length + 1;
  for (const { from, to } of copiesOf(stage)) {
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    const isSent = (path: string): boolean => !isIgnored(path.slice(below));
    cpSync(join(root, from), join(folder, to), { recursive: true, filter: isSent });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return { folder, close: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A container's command line on this machine: its own Node, and the image's folder in place of /app. */
function here(command: readonly string[], layout: Layout): [string, string[]] {
  const [program = "", ...words] = command.map((word) => word.replace(/^\/app\//, `${layout.folder}/`));
  return [program === "node" ? process.execPath : program, words];
}

export interface Container {
  layout: Layout;
  cwd: string;
  env: Record<string, string>;
}

/** Runs a command to its end; gives its exit code and what it said. */
export function run(
  command: readonly string[],
  { layout, cwd, env }: Container,
): { code: number | null; said: string } {
  const [program, words] = here(command, layout);
  const { status, stdout, stderr } = spawnSync(program, words, {
    cwd,
    env,
    encoding: "utf8",
    timeout: 20_000,
  });
  return { code: status, said: stdout + stderr };
}

export interface Running {
  said(): string;
  readonly child: ChildProcess;
  stop(): Promise<number | null>;
}

export function start(command: readonly string[], { layout, cwd, env }: Container): Running {
  const [program, words] = here(command, layout);
  const child = spawn(program, words, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  child.stderr.on("data", (chunk) => (said += chunk));
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return {
    child,
    said: () => said,
    stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** @throws {Error} with what the program said, when it ends or takes too long. */
export async function until(isSo: () => boolean, running: Running): Promise<void> {
  const deadlineMs = Date.now() + 30_000;
  while (!isSo()) {
    if (running.child.exitCode !== null || Date.now() > deadlineMs) throw new Error(running.said());
    await sleep(100);
  }
}
