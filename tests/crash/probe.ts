/**
 * Counts the calls of every port and, at the k-th call of the armed one, kills or freezes its own process: before the call
 * or after it. The parent is told first, through a pipe, because nothing can be said afterwards.
 */
import { writeSync } from "node:fs";
import type { Fault, Moment } from "./words.ts";

/** The descriptor of the pipe to the parent. */
export const hereDescriptor = 4;

export type OwnFault = Extract<Fault, { kind: "kill" | "freeze" }>;

export interface Probe {
  arm(faults: readonly OwnFault[]): void;
  wrap<T extends object>(name: string, port: T): T;
}

export function openProbe(): Probe {
  let faults: readonly OwnFault[] = [];
  const counts = new Map<string, number>();

  function count(call: string): number {
    const next = (counts.get(call) ?? 0) + 1;
    counts.set(call, next);
    return next;
  }
  function reach(call: string, k: number, moment: Moment): void {
    const fault = faults.find((each) => each.call === call && each.k === k && each.moment === moment);
    if (fault === undefined) return;
    faults = faults.filter((each) => each !== fault);
    writeSync(hereDescriptor, `${JSON.stringify(fault)}\n`);
    process.kill(process.pid, fault.kind === "kill" ? "SIGKILL" : "SIGSTOP");
  }
  function interruptible(call: string, method: (...args: unknown[]) => unknown, target: object) {
    return async (...args: unknown[]): Promise<unknown> => {
      const k = count(call);
      reach(call, k, "before");
      const result = await method.apply(target, args);
      reach(call, k, "after");
      return result;
    };
  }
  return {
    arm(armed) {
      faults = armed;
      counts.clear();
    },
    wrap: (name, port) =>
      new Proxy(port, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key);
          if (typeof value !== "function") return value;
          return interruptible(`${name}.${String(key)}`, value as (...args: unknown[]) => unknown, target);
        },
      }),
  };
}
