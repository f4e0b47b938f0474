/**
 * Who is alive on this machine. Pids are reused, so a pid alone proves nothing: a program is known by its pid together
 * with the moment it was born, or by its command line.
 */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * When the program with this pid began, as an opaque text that no later program with the same pid has. Undefined when
 * there is none, or only its unburied remains: a killed program answers to signals until its parent has waited for it.
 */
export async function birthOf(pid: number): Promise<string | undefined> {
  return process.platform === "linux" ? birthInProc(pid) : birthFromPs(pid);
}

/** proc_pid_stat(5): field 3 is the state, field 22 the start in clock ticks since boot. */
async function birthInProc(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  const fieldsFromState = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fieldsFromState[0] === "Z" || fieldsFromState[0] === "X") return undefined;
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return `${boot.trim()} ${fieldsFromState[19]}`;
}

async function birthFromPs(pid: number): Promise<string | undefined> {
  // Without ps (Windows) every live program counts as the one that was meant: a lock is never broken wrongly.
  const answer = await run("ps", ["-o", "stat=,lstart=", "-p", String(pid)]).catch((error) =>
    error.code === "ENOENT" && answersSignals(pid) ? { stdout: "? alive" } : undefined,
  );
  const [, state, birth] = /^\s*(\S+)\s+(.+?)\s*$/.exec(answer?.stdout ?? "") ?? [];
  return state?.startsWith("Z") ? undefined : birth;
}

function answersSignals(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

export interface Running {
  readonly pid: number;
  /** The program and its arguments in one text; what a program made of it itself, when it changed it. */
  readonly command: string;
}

/** Every program whose command line contains one of the marks. Those of other users may be invisible. */
export async function findRunning(marks: readonly string[]): Promise<Running[]> {
  const all = process.platform === "linux" ? await listProc() : await listPs();
  return all.filter(
    ({ pid, command }) => pid !== process.pid && marks.some((mark) => command.includes(mark)),
  );
}

async function listProc(): Promise<Running[]> {
  const pids = (await readdir("/proc")).map(Number).filter(Number.isInteger);
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return pids.map((pid, at) => ({ pid, command: (commands[at] ?? "").replaceAll("\0", " ") }));
}

async function listPs(): Promise<Running[]> {
  const { stdout } = await run("ps", ["-axww", "-o", "pid=,command="], { maxBuffer: 16 << 20 });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, command] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid && command ? [{ pid: Number(pid), command }] : [];
  });
}
