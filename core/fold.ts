/**
 * The fold from log to state. Pure and total: any sequence of known events, in any broken order, gives a state and
 * never throws; an event that does not fit the state is a late duplicate and changes nothing but the position.
 */
import type { ThreadEvent } from "./events.ts";
import { approvalRules } from "./fold/approvals.ts";
import { conversationRules } from "./fold/conversation.ts";
import { runRules } from "./fold/runs.ts";
import type { Rules } from "./fold/state.ts";
import { toolCallRules } from "./fold/tool-calls.ts";
import { emptyThread, type ThreadState } from "./thread.ts";

export { senderKey } from "./fold/state.ts";

/** One rule for each type of event: a type without one does not compile. */
const rules: Rules = { ...conversationRules, ...runRules, ...toolCallRules, ...approvalRules };

/** Folds events onto a state. Events at or below the state's position are already in it. */
export function fold(events: readonly ThreadEvent[], from: ThreadState = emptyThread): ThreadState {
  return events.reduce(applyEvent, from);
}

export function applyEvent(state: ThreadState, event: ThreadEvent): ThreadState {
  if (event.seq <= state.seq) return state;
  const apply = rules[event.type] as (state: ThreadState, facts: unknown, event: ThreadEvent) => ThreadState;
  return { ...apply(state, event.data, event), seq: event.seq };
}
