/** The limits that hold for a thread: its agent's own, and the operator's budgets where they are tighter. */
import type { LoopLimits } from "../../core/next-action.ts";
import type { Spend } from "../../core/ports.ts";
import type { ThreadState } from "../../core/thread.ts";
import type { Agent, Budget } from "../agent.ts";

/** The operator's budgets of parley.yaml. Unset means no limit. */
export interface Budgets {
  run?: Budget;
  thread?: Budget;
  personPerDay?: Budget;
  day?: Budget;
}

interface LimitSources {
  agents: ReadonlyMap<string, Agent>;
  budgets: Budgets;
}

/** Characters that one token stands for at the least: the transcript is compacted a good while before it fills the context. */
const charactersPerToken = 3;
const compactAtShare = 0.75;

export function limitsOf({ agents, budgets }: LimitSources, state: ThreadState): LoopLimits {
  const limits = agents.get(state.agent)?.limits;
  return {
    maxSteps: Math.min(20, limits?.maxSteps ?? 1),
    maxTranscriptCharacters: (limits?.contextTokens ?? 16_000) * charactersPerToken * compactAtShare,
    run: tighter(limits?.run, budgets.run),
    thread: tighter(limits?.thread, budgets.thread),
  };
}

export const dayLimits = (
  { agents, budgets }: LimitSources,
  state: ThreadState,
): { day: Spend; person: Spend } => {
  const limits = agents.get(state.agent)?.limits;
  return {
    day: tighter(limits?.day, budgets.day),
    person: tighter(limits?.personPerDay, budgets.personPerDay),
  };
};

export const isLimited = ({ tokens, usd }: Spend): boolean => Number.isFinite(tokens) || Number.isFinite(usd);

export const isOver = (spent: Spend, limit: Spend, extension: Spend): boolean =>
  spent.tokens >= limit.tokens + extension.tokens || spent.usd >= limit.usd + extension.usd;

function tighter(own: Budget | undefined, configured: Budget | undefined): Spend {
  const least = (unit: keyof Budget): number =>
    Math.min(own?.[unit] ?? Number.POSITIVE_INFINITY, configured?.[unit] ?? Number.POSITIVE_INFINITY);
  return { tokens: least("tokens"), usd: least("usd") };
}

/** What "extend" adds: the smallest limit that is set, once more. Units without a limit get nothing. */
export function grantOf(limits: readonly Spend[]): Spend {
  const least = (unit: keyof Spend): number => {
    const set = limits.map((limit) => limit[unit]).filter(Number.isFinite);
    return set.length === 0 ? 0 : Math.min(...set);
  };
  return { tokens: least("tokens"), usd: least("usd") };
}
