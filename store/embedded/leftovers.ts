/**
 * Clears away what a killed instance left in the folder. The caller holds the folder's lock, so whatever still runs on
 * the cluster has no owner any more.
 */
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../core/ports.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { findRunning, type Running } from "./liveness.ts";

/** Usually the guard has the old server stopped within a second. These are for one that hangs, or lost its guard. */
const escalation: { afterMs: number; signal: NodeJS.Signals }[] = [
  { afterMs: 0, signal: "SIGINT" },
  { afterMs: 6_000, signal: "SIGQUIT" },
  { afterMs: 11_000, signal: "SIGKILL" },
];
const giveUpAfterMs = 15_000;

export interface ClusterPlace {
  readonly folder: string;
  readonly cluster: string;
  /** In the title of each of the server's own children, where the command line no longer shows the path. */
  readonly tag: string;
}

/**
 * Resolves when nothing runs on the cluster. Repeatable; takes up to 15 s.
 * @throws {EmbeddedPostgresError} when something cannot be stopped.
 */
export async function stopLeftovers(place: ClusterPlace, log: Log): Promise<void> {
  const startedMs = performance.now();
  const due = [...escalation];
  for (;;) {
    const running = await findOnCluster(place);
    if (running.length === 0) return;
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > giveUpAfterMs) throw doesNotStop(place, running);
    const [next] = due;
    if (next && waitedMs >= next.afterMs) {
      due.shift();
      log("warn", "postgres_leftover_signalled", {
        signal: next.signal,
        pids: running.map(({ pid }) => pid),
      });
      signalAll(running, next.signal, place);
    }
    await sleep(50);
  }
}

/** Until the last resort only the server itself is told: it knows how to stop its children. */
function signalAll(running: readonly Running[], signal: NodeJS.Signals, place: ClusterPlace): void {
  for (const { pid, command } of running) {
    if (signal !== "SIGKILL" && !command.includes(`-D ${place.cluster}`)) continue;
    try {
      process.kill(pid, signal);
    } catch {} // It ended in the meantime, or belongs to someone else: the wait tells.
  }
}

/** Guards, servers, their children, and initdb. */
export async function findOnCluster(place: ClusterPlace): Promise<Running[]> {
  const named = await findRunning([`-D ${place.cluster}`, `postgres: ${place.tag}:`]);
  const checked = await Promise.all(
    named.map(async (each) => ({ each, here: await worksIn(each.pid, place) })),
  );
  return checked.filter(({ here }) => here).map(({ each }) => each);
}

/** In a container the same path is another folder: on Linux the folder a program works in must be the very same. */
async function worksIn(pid: number, place: ClusterPlace): Promise<boolean> {
  if (process.platform !== "linux") return true;
  try {
    const at = await stat(`/proc/${pid}/cwd`);
    const ours = await Promise.all([stat(place.folder), stat(place.cluster).catch(() => undefined)]);
    return ours.some((folder) => folder?.ino === at.ino && folder.dev === at.dev);
  } catch (error) {
    // Not ours to look at means not ours to rule out; anything else means it has ended.
    return error instanceof Error && "code" in error && error.code === "EACCES";
  }
}

/**
 * Removes a postmaster.pid whose pid now belongs to some other program, which Postgres would take for a running server.
 * One whose pid is dead stays: Postgres removes it itself, after looking for survivors in shared memory.
 * Call after `stopLeftovers`.
 */
export async function removeStalePidFile(place: ClusterPlace, log: Log): Promise<void> {
  const path = join(place.cluster, "postmaster.pid");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return;
  const pid = Math.abs(Number.parseInt(text, 10));
  if (pid > 0 && !exists(pid)) return;
  await rm(path, { force: true });
  log("info", "postgres_stale_pid_removed", { path, pid: pid || null });
}

/** The unburied remains of a killed server count as existing, to Postgres too. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function doesNotStop(place: ClusterPlace, running: readonly Running[]): EmbeddedPostgresError {
  const list = running.map(({ pid, command }) => `${pid} (${command.trim().slice(0, 80)})`).join(", ");
  return new EmbeddedPostgresError(
    `An earlier Postgres still runs on ${place.cluster} and does not stop: ${list}. End it and try again.`,
    { operation: "start embedded Postgres" },
  );
}
