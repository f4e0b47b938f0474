/**
 * Suites that need a program which a developer's machine may lack: reported as skipped, by name, outside CI; a failure
 * in CI, where everything has to be there.
 */
import { describe, it } from "vitest";

export interface Requirement {
  /** What is needed: "redis-server". */
  name: string;
  available: boolean;
  /** How to get it: "apt-get install redis-server". */
  install: string;
}

export type SuiteVerdict = "run" | "skip" | "fail";

/** What becomes of a suite that needs `requirement`. */
export function verdictOf(requirement: Requirement, ci: boolean): SuiteVerdict {
  if (requirement.available) return "run";
  return ci ? "fail" : "skip";
}

export function describeWith(requirement: Requirement, title: string, body: () => void): void {
  const verdict = verdictOf(requirement, process.env.CI === "true");
  const reason = `needs ${requirement.name}: ${requirement.install}`;
  if (verdict === "run") describe(title, body);
  else if (verdict === "skip") describe.skip(`${title} (${reason})`, body);
  else
    describe(title, () => {
      it(reason, () => {
        throw new Error(`${requirement.name} is not installed; ${requirement.install}`);
      });
    });
}
