/**
 * The contract of an agent: a name, a few tools, limits and a prompt. Everything else (the loop, the log, approvals,
 * delivery) is the runtime's. docs/agents.md builds one from nothing.
 */
import type { z } from "zod";
import type { Json, JsonObject } from "../core/json.ts";
import type { Effect } from "../core/words.ts";

/** What the runtime hands to an agent when it is loaded. */
export interface AgentEnvironment {
  /** The agent's own section of parley.yaml (`agents.settings.<name>`), not yet validated: the agent parses it. */
  readonly settings: JsonObject;
  /** A folder of the agent's own below the data folder. It exists. */
  readonly folder: string;
  /** Where relative paths in parley.yaml start. */
  readonly configFolder: string;
  /** What a command that the agent starts may inherit of this server's environment: PATH, HOME and LANG, never a secret. */
  readonly commandEnv: Readonly<Record<string, string>>;
  /** One parameterized SQL statement on Parley's database. Keep to a schema of your own. */
  query(sql: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>;
}

export interface ToolContext {
  /** Fires at the tool's time limit, when the thread is cancelled and when the worker stops. */
  readonly signal: AbortSignal;
  readonly threadId: string;
  readonly callId: string;
  /** The same for every attempt at this call: hand it to whatever can use it. */
  readonly idempotencyKey: string;
  /** 1 unless an earlier attempt was cut off. */
  readonly attempt: number;
  /** Who asked, as a person's id, or the sender's identity on the channel. */
  readonly requester: string;
}

export interface Tool<Input extends z.ZodObject = z.ZodObject> {
  /** The intent's name: lower case, digits and underscores. */
  readonly name: string;
  readonly description: string;
  readonly input: Input;
  readonly effect: Effect;
  /** A policy name of parley.yaml, null for none, or a function of the arguments that gives one of both. */
  readonly approval: string | null | ((args: z.output<Input>) => string | null);
  /** What the call acts on. A newer proposal on the same subject replaces an undecided one. Default: the tool's name. */
  readonly subject?: (args: z.output<Input>) => string;
  readonly timeoutMs: number;
  /** What an approval card says above the exact arguments, in one line. */
  readonly summary?: (args: z.output<Input>) => string;
  /** @throws anything: it is compacted to one line that the next step sees. */
  run(args: z.output<Input>, context: ToolContext): Promise<Json>;
}

/** Most of what one agent may spend. Unset means no limit but `maxSteps`. */
export interface Limits {
  /** Steps in one run, 1 to 20. */
  readonly maxSteps: number;
  readonly contextTokens: number;
  readonly maxOutputTokens: number;
  readonly modelTimeoutMs: number;
  readonly run?: Budget;
  readonly thread?: Budget;
  readonly personPerDay?: Budget;
  readonly day?: Budget;
}

export interface Budget {
  readonly tokens?: number;
  readonly usd?: number;
}

/** What the offline stand-in sees of the context. */
export interface OfflineView {
  /** The newest message of a person that is not answered yet, or the newest at all. */
  readonly message: string;
  /** What happened since that message, oldest first. */
  readonly since: readonly OfflineHappening[];
  readonly prefetched: { readonly [name: string]: Json };
}

export type OfflineHappening =
  | { kind: "result"; tool: string; args: JsonObject; result: Json }
  | { kind: "failure"; tool: string; args: JsonObject; error: string }
  | { kind: "rejected"; tool: string; args: JsonObject; reason: string; by: string }
  | { kind: "expired"; tool: string; args: JsonObject }
  | { kind: "asked_back"; tool: string; args: JsonObject; reason: string; by: string }
  | { kind: "problem"; line: string };

/** One step as a model would answer it: `intent` and what belongs to it. */
export type OfflineStep = { intent: string; reasoning: string; confidence: number } & JsonObject;

export interface Agent {
  readonly name: string;
  readonly description: string;
  readonly tools: readonly Tool[];
  readonly limits: Limits;
  /** Agents and, with `person`, people that it may hand a thread to. */
  readonly handoffTo: readonly string[];
  /** The values of the prompt's variables. */
  readonly promptVariables: () => JsonObject;
  /** Fetched before the first model call of a run, in parallel, and recorded as events. */
  readonly prefetch: readonly { name: string; fetch(signal: AbortSignal): Promise<Json> }[];
  /** Plays the model when there is no key. */
  readonly offline: ((view: OfflineView) => OfflineStep) | null;
}

/** What an agent's module exports as default. `load` validates the settings and prepares what the agent needs. */
export interface AgentDefinition {
  readonly name: string;
  load(environment: AgentEnvironment): Promise<Agent>;
}

const defaultLimits: Limits = {
  maxSteps: 8,
  contextTokens: 16_000,
  maxOutputTokens: 2_000,
  modelTimeoutMs: 60_000,
};

type AgentParts = Pick<Agent, "description" | "tools"> &
  Partial<Omit<Agent, "name" | "description" | "tools" | "limits">> & { limits?: Partial<Limits> };

/**
 * Defines an agent. `load` runs once when the worker starts.
 * @throws {Error} (from `load`) with a plain sentence when the settings are wrong: the start reports it with all others.
 */
export function defineAgent(
  name: string,
  load: (environment: AgentEnvironment) => AgentParts | Promise<AgentParts>,
): AgentDefinition {
  return {
    name,
    async load(environment) {
      const { limits, ...parts } = await load(environment);
      return {
        name,
        handoffTo: [],
        promptVariables: () => ({}),
        prefetch: [],
        offline: null,
        ...parts,
        limits: { ...defaultLimits, ...limits },
      };
    },
  };
}

/** Defines a tool; the types of `run`'s arguments come from `input`. */
export function defineTool<Input extends z.ZodObject>(tool: Tool<Input>): Tool {
  return tool as unknown as Tool;
}
