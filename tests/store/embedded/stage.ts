/** Temp folders, owners to kill, and a look at what still runs, which does not rely on the code under test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";

const folders: string[] = [];
const owners: ChildProcess[] = [];

export function makeTempFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "parley-embedded-")));
  folders.push(folder);
  return folder;
}

/** For afterEach: kills owners, waits until nothing works in the folders, and removes them. */
export async function clearStage(): Promise<void> {
  for (const owner of owners.splice(0)) owner.kill("SIGKILL");
  for (const folder of folders.splice(0)) {
    await untilNothingRunsIn(folder, 15_000);
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface Owner {
  child: ChildProcess;
  said: { url: string; pid: number; held?: boolean; failed?: string };
}

/** `detached` gives it a process group of its own, to be killed as a whole. */
export async function startOwner(
  what: "postgres" | "lock",
  folder: string,
  options: { detached?: boolean; uid?: number } = {},
): Promise<Owner> {
  const child = beginOwner(what, folder, options);
  if (!child.stdout) throw new Error("no stdout");
  const [line] = await once(createInterface(child.stdout), "line");
  return { child, said: JSON.parse(line) };
}

export function beginOwner(
  what: string,
  folder: string,
  { detached = false, uid }: { detached?: boolean; uid?: number } = {},
): ChildProcess {
  const args = [join(import.meta.dirname, "owner.ts"), what, folder, ...(uid ? [String(uid)] : [])];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], detached });
  owners.push(child);
  return child;
}

export async function kill(owner: Owner): Promise<void> {
  const exit = once(owner.child, "exit");
  owner.child.kill("SIGKILL");
  await exit;
}

/** Pids whose working folder is at or below the folder: every Postgres program of a cluster. Linux only. */
export function runningIn(folder: string): number[] {
  if (!existsSync("/proc")) return [];
  return readdirSync("/proc").flatMap((name) => {
    try {
      const cwd = /^\d+$/.test(name) ? readlinkSync(`/proc/${name}/cwd`) : "";
      return cwd === folder || cwd.startsWith(`${folder}/`) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

export async function untilNothingRunsIn(folder: string, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (runningIn(folder).length > 0) {
    if (Date.now() > deadline) throw new Error(`still running in ${folder}: ${runningIn(folder)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
