/** What the parent asks of a child process, and what it gets back. Parsed on both sides' word alone: one program. */
import type { InboundEvent } from "../../channels/channel.ts";
import type { DecisionRequest } from "../../core/ports.ts";
import type { OwnFault } from "./probe.ts";
import type { ListedTrouble, Role } from "./words.ts";

export interface Beginning {
  do: "begin";
  role: Role;
  databaseUrl: string;
  /** Null: the queue is in Postgres. */
  redisUrl: string | null;
  outsideUrl: string;
  prefix: string;
  bug: string | null;
}

export type Order =
  | Beginning
  | { do: "arm"; faults: OwnFault[] }
  | { do: "accept"; event: InboundEvent }
  | { do: "decide"; request: DecisionRequest }
  | { do: "look"; anchors: string[] };

/** What a user can look up of a run's threads and deliveries. */
export interface Look {
  threads: { anchor: string; status: string; waitingFor: string[] }[];
  deliveries: ListedTrouble[];
}

export interface Envelope {
  number: number;
  order: Order;
}

export type Answer = { number: number; value: unknown } | { number: number; error: string };
