/**
 * Runs one command to its end: arguments as a list, no shell, a small environment, no standard input, bounded output and
 * a bounded life. It has a process group of its own, so that stopping it stops its children too. When this server is
 * killed the command goes on by itself; whoever runs it again hands it the same idempotency key.
 */
import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";

export interface Command {
  argv: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string>>;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface CommandEnd {
  /** Null when a signal ended it. */
  exitCode: number | null;
  stopped: "timeout" | "aborted" | null;
  /** The last 8 KB of what it printed, both streams as they came, without control characters. */
  output: string;
  durationMs: number;
}

const maxOutputBytes = 8 * 1024;
/** From SIGTERM to SIGKILL. */
const graceMs = 5_000;
/** A grandchild may keep the pipe open after the command has ended. */
const drainMs = 1_000;

/** @throws {Error} when the command cannot be started. */
export function runCommand({ argv, cwd, env, timeoutMs, signal }: Command): Promise<CommandEnd> {
  const [program = "", ...args] = argv;
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error(`${program} was not started: it was stopped before`));
    const child = spawn(program, args, {
      cwd,
      env: { ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const tail = keepTail();
    let stopped: CommandEnd["stopped"] = null;
    let killTimer: NodeJS.Timeout | undefined;
    const stop = (why: "timeout" | "aborted") => {
      if (stopped !== null) return;
      stopped = why;
      killGroup(child.pid, "SIGTERM");
      killTimer = setTimeout(() => killGroup(child.pid, "SIGKILL"), graceMs);
    };
    const abort = () => stop("aborted");
    const timeout = setTimeout(() => stop("timeout"), timeoutMs);
    signal.addEventListener("abort", abort, { once: true });
    const cleanUp = () => {
      clearTimeout(timeout);
      clearTimeout(killTimer);
      signal.removeEventListener("abort", abort);
    };
    child.stdout.on("data", tail.add);
    child.stderr.on("data", tail.add);
    child.once("error", (error) => {
      cleanUp();
      reject(new Error(startSentence(program, error), { cause: error }));
    });
    child.once("exit", () => {
      const drain = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, drainMs);
      child.once("close", (exitCode: number | null) => {
        clearTimeout(drain);
        cleanUp();
        // A child of the command may have let go of the pipe and go on by itself.
        if (stopped !== null) killGroup(child.pid, "SIGKILL");
        resolve({
          exitCode,
          stopped,
          output: tail.text(),
          durationMs: Math.round(performance.now() - startedMs),
        });
      });
    });
  });
}

function startSentence(program: string, error: Error): string {
  const code = "code" in error ? error.code : undefined;
  if (code === "ENOENT") return `${program} could not be started: there is no such program`;
  if (code === "EACCES") return `${program} could not be started: it is not executable`;
  return `${program} could not be started: ${error.message}`;
}

/** The whole group: the command was made its leader. It may be gone already, which is what was wanted. */
function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function keepTail(): { add: (chunk: Buffer) => void; text: () => string } {
  let kept = Buffer.alloc(0);
  return {
    add(chunk) {
      kept = Buffer.concat([kept, chunk]);
      if (kept.length > maxOutputBytes) kept = kept.subarray(kept.length - maxOutputBytes);
    },
    // Postgres stores no NUL in text, and a terminal's colours mean nothing in a thread.
    text: () =>
      stripVTControlCharacters(kept.toString("utf8"))
        .replace(/\r\n?/g, "\n")
        .replace(/[^\P{Cc}\n\t]/gu, ""),
  };
}
