/** What keeps Parley from starting: always all of it at once, each with the place and the way out. */
import { ParleyError } from "../../core/errors.ts";

export interface Problem {
  /** A variable's name, or a file with line and path: `parley.yaml:12 policies.refunds.roles`. */
  where: string;
  problem: string;
  /** What to do, as an order. */
  fix: string;
}

class ProblemsError extends ParleyError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], operation: string) {
    super(problems.map(({ where, problem }) => `${where}: ${problem}`).join("; "), {
      operation,
      publicText: "Parley is not set up correctly.",
      retryable: false,
    });
    this.problems = problems;
  }
}

/** The environment or parley.yaml is wrong. The CLI prints the list and exits with 2. */
export class ConfigError extends ProblemsError {
  /** What could be read all the same, so that the port and the folder can be checked too, and all be told at once. */
  readonly known: KnownPlaces;

  constructor(problems: readonly Problem[], known: KnownPlaces = { listen: null, dataDir: null }) {
    super(problems, "read configuration");
    this.known = known;
  }
}

export interface KnownPlaces {
  listen: { host: string; port: number } | null;
  dataDir: string | null;
}

/** The machine does not let it start: port in use, folder held, no database. The CLI prints the list and exits with 1. */
export class StartError extends ProblemsError {
  constructor(problems: readonly Problem[]) {
    super(problems, "start");
  }
}

/** The list as a person reads it. */
export function problemList(problems: readonly Problem[]): string {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const items = problems.map(
    ({ where, problem, fix }, index) => `  ${index + 1}. ${where}\n     ${problem}\n     Fix: ${fix}\n`,
  );
  return [`${count} to solve first:\n`, ...items].join("\n");
}
