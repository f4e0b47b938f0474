/** A planted bug: how the composition of the harness is changed so that one promise does not hold any more. */
import type { Database } from "../../../store/postgres.ts";
import type { Ports } from "../parts.ts";
import type { Fault } from "../words.ts";

export interface Bug {
  readonly name: string;
  /** What is wrong, in one line. */
  readonly what: string;
  /** Changes of named statements of the store. */
  readonly statements?: readonly { name: string; from: string; to: string }[];
  /** Run in the lane's database. */
  readonly schema?: readonly string[];
  /** Other implementations of some ports. */
  readonly change?: (ports: Ports, database: Database) => Partial<Ports>;
  /** Faults under which it shows; without them those of the seeds. */
  readonly faults?: readonly Fault[];
  /** Ways in which people answer that make it show; at every approval. */
  readonly answers?: readonly import("../words.ts").AnswerPlan[];
}
