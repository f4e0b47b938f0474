/** The configuration as the rest of the program sees it: whole, validated and frozen. Times are in milliseconds. */
import type { AccessRule } from "../../core/access.ts";
import type { Policy } from "../../core/approval.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Routing } from "../../core/routing.ts";
import type { ChannelsConfig } from "./channels.ts";
import type { Secret } from "./secret.ts";

export const roles = ["all", "gateway", "worker"] as const;
/** What this process does: serve HTTP, take threads, or both. */
export type Role = (typeof roles)[number];

export interface Config {
  readonly role: Role;
  /** The settings file, or null when the built-in demo applies. */
  readonly file: string | null;
  /** Where relative paths in the settings file start. */
  readonly folder: string;
  readonly dataDir: string;
  /** PATH, HOME and LANG, for the commands that agents start. */
  readonly commandEnv: Readonly<Record<string, string>>;
  readonly listen: { readonly host: string; readonly port: number };
  /** Without a slash at the end. */
  readonly publicUrl: string | null;
  readonly adminToken: Secret | null;
  /** Null: the embedded Postgres in the data folder. */
  readonly databaseUrl: Secret | null;
  /** Null: the queue is in Postgres as well. */
  readonly redisUrl: Secret | null;
  readonly model: ModelConfig;
  readonly channels: Readonly<ChannelsConfig>;
  readonly agents: AgentsConfig;
  readonly routing: Routing;
  readonly access: readonly AccessRule[];
  readonly people: readonly PersonConfig[];
  readonly policies: { readonly [name: string]: Policy };
  readonly limits: LimitsConfig;
  readonly budgets: BudgetsConfig;
  readonly delivery: DeliveryConfig;
  readonly logs: { readonly level: "trace" | "debug" | "info" | "warn" | "error" };
  /** To be said once at the start: what is allowed but probably not meant. */
  readonly warnings: readonly string[];
}

export interface ModelConfig {
  /** False: no key and no endpoint, so the offline stand-in answers. */
  readonly online: boolean;
  readonly apiKey: Secret | null;
  /** Null: the provider's own. Without a slash at the end. */
  readonly baseUrl: string | null;
  readonly name: string;
  readonly fallback: string | null;
  readonly prices: {
    readonly [model: string]: { readonly inputUsdPerMillion: number; readonly outputUsdPerMillion: number };
  };
}

export interface AgentsConfig {
  /** Takes a new thread when no route matches. */
  readonly default: string;
  /** The folder of the user's own agents, absolute. */
  readonly path: string | null;
  /** Null: all there are. */
  readonly enabled: readonly string[] | null;
  readonly settings: { readonly [agent: string]: JsonObject };
  /** All that there are, enabled or not, in the order of the alphabet. */
  readonly names: readonly string[];
}

export interface PersonConfig {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** `account` null: in any account of the channel. */
  readonly identities: readonly {
    readonly channel: string;
    readonly account: string | null;
    readonly identity: string;
  }[];
}

export interface LimitsConfig {
  readonly messageCharacters: number;
  readonly bodyBytes: number;
}

export interface Budget {
  readonly tokens?: number;
  readonly usd?: number;
}

/** For each agent's own limits, the smaller of both counts. */
export interface BudgetsConfig {
  readonly run: Budget;
  readonly thread: Budget;
  readonly personPerDay: Budget;
  readonly day: Budget;
}

export interface DeliveryConfig {
  readonly maxAttempts: number;
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
}
