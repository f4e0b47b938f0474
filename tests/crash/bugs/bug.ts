/** A planted bug: how the composition of the harness is changed so that one promise does not hold any more. */
import type { Database } from "../../../store/postgres.ts";
import type { Ports } from "../ports.ts";
import type { Random } from "../random.ts";
import type { AnswerPlan, Fault, Moment, Role } from "../words.ts";

export interface Bug {
  readonly name: string;
  /** What is wrong, in one line. */
  readonly what: string;
  /** The checks that may catch it: being caught by anything else proves nothing. */
  readonly caughtBy: readonly string[];
  /** Changes of the store's statements whose names begin like this. */
  readonly statements?: readonly { name: string; from: string | RegExp; to: string }[];
  /** Changes of functions of the lane's database. */
  readonly functions?: readonly { name: string; from: string; to: string }[];
  /** Other implementations of some ports. */
  readonly change?: (ports: Ports, database: Database) => Partial<Ports>;
  /** Faults under which it shows; without it those of the seed. */
  readonly faults?: (dice: Random) => Fault[];
  /** Ways in which people answer that make it show; without it those of the seed. */
  readonly answers?: readonly AnswerPlan[];
  /** Tools that make it show; without it those of the seed. */
  readonly tools?: readonly string[];
}

export const kill = (role: Role, call: string, k: number, moment: Moment): Fault => ({
  kind: "kill",
  role,
  call,
  k,
  moment,
  all: false,
});

export const freeze = (call: string, k: number, moment: Moment): Fault => ({
  kind: "freeze",
  role: "worker",
  call,
  k,
  moment,
  all: false,
});

export const noFaults = (): Fault[] => [];
