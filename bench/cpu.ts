/**
 * CPU time of processes and of all their children, from /proc: what a message costs, whatever else the machine does.
 * Gives 0 where there is no /proc.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Linux counts in hundredths of a second (`getconf CLK_TCK`, the same on every platform that Node supports). */
const msPerTick = 10;

interface Stat {
  parent: number;
  ticks: number;
}

/** User and system time, the time of children that have ended included. */
export function cpuMsOf(roots: readonly number[]): number {
  const stats = new Map(pids().flatMap((pid) => statOf(pid)));
  const belongs = (pid: number): boolean => {
    for (let at = pid; at > 1; at = stats.get(at)?.parent ?? 0) if (roots.includes(at)) return true;
    return false;
  };
  return [...stats].reduce((sum, [pid, { ticks }]) => (belongs(pid) ? sum + ticks * msPerTick : sum), 0);
}

const pids = (): number[] => {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
};

function statOf(pid: number): [number, Stat][] {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    // proc_pid_stat(5): 4 is the parent; 14 to 17 are user and system time, of itself and of its ended children.
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at] ?? 0), 0);
    return [[pid, { parent: Number(fields[1]), ticks }]];
  } catch {
    return [];
  }
}
