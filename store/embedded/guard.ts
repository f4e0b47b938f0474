/**
 * Runs a Postgres program so that it ends when this process does, even by kill -9: a small shell between the two holds
 * one end of a pipe. When this process is gone the kernel closes the other end, and the shell shuts Postgres down.
 *
 * The shell leads a session of its own, so Ctrl-C in the terminal or a kill of our process group does not reach it.
 */
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { dress, type Identity } from "./identity.ts";

/**
 * SIGINT means fast shutdown to postgres and "clean up and stop" to initdb. It is repeated because a program that has
 * not installed its handlers yet does not hear it. The reader is a child, so that the shell itself can wait for the
 * program's own end and pass its exit code on.
 */
const script = `
trap '' INT TERM HUP QUIT
exec 3<&0 </dev/null
"$@" 3<&- & program=$!
( read -r _ <&3; while kill -INT $program 2>/dev/null; do sleep 0.1; done ) & reader=$!
exec 3<&-
wait $program; code=$?
kill -KILL $reader 2>/dev/null
exit $code`;

export interface Guarded {
  /** Asks the program to end; `exited` tells when it has. */
  end(): void;
  /** The program's exit code; null when the guard itself was killed or could not start. */
  readonly exited: Promise<number | null>;
  /** Lets the event loop wait for the end. Without it the program never keeps this process alive. */
  ref(): void;
}

export interface GuardedCommand {
  readonly identity: Identity;
  readonly command: readonly string[];
  readonly cwd: string;
  /** Receives stdout and stderr. */
  readonly logFd: number;
}

export function startGuarded({ identity, command, cwd, logFd }: GuardedCommand): Guarded {
  const { line, ...as } = dress(identity, command);
  const child = spawn("sh", ["-c", script, "sh", ...line], {
    ...as,
    cwd,
    detached: true,
    stdio: ["pipe", logFd, logFd],
    // Postgres gets no secrets of ours, and messages in one language.
    env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
  });
  const exited = new Promise<number | null>((resolve) => {
    child.on("exit", (code) => resolve(code));
    child.on("error", () => resolve(null));
  });
  const lifeline = child.stdin;
  lifeline?.on("error", () => {}); // The program is gone already: what end() wanted.
  child.unref();
  if (lifeline instanceof Socket) lifeline.unref();
  return { end: () => lifeline?.end(), exited, ref: () => child.ref() };
}
