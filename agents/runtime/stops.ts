/** The ways in which code, not the model, ends or holds a run: limits, repeated errors, budgets, cancellation, defects. */
import type { Spend } from "../../core/ports.ts";
import type { ThreadState, TranscriptItem } from "../../core/thread.ts";
import {
  answer,
  ask,
  ended,
  join,
  type Plan,
  type Planner,
  plan,
  question,
  system,
  withdraw,
} from "./plan.ts";

type Seen = { state: ThreadState; run: { runId: string } };

/** What a stop says answers everything that was said so far. */
const seen = (state: ThreadState, planner: Planner): Seen => ({
  state: { ...state, seenSeq: state.seq },
  run: state.run ?? { runId: planner.ids.next() },
});

export function stopAtStepLimit(before: ThreadState, planner: Planner): Plan {
  const { state, run } = seen(before, planner);
  const text = `I have taken ${state.run?.steps ?? 0} steps without coming to an end, so I stopped. Tell me how to go on, or ask for a smaller piece.`;
  return ended(answer(state, run, text, planner), run, "step_limit");
}

export function stopAfterErrors(before: ThreadState, planner: Planner): Plan {
  const { state, run } = seen(before, planner);
  const last = state.transcript.findLast((item) => item.kind === "failure" || item.kind === "problem");
  const text = `${state.errorsInRow} things in a row went wrong, so I stopped. The last one: ${trouble(last)} Tell me what to do differently, or write "try again".`;
  const asked = question(planner, {
    purpose: "errors",
    text,
    format: { kind: "free_text" },
    urgency: "high",
  });
  return ask(state, run, asked, planner);
}

const trouble = (item: TranscriptItem | undefined): string =>
  item?.kind === "failure" ? `${item.tool}: ${item.error}.` : item?.kind === "problem" ? `${item.text}.` : "";

export function stopAtBudget(before: ThreadState, grant: Spend, planner: Planner): Plan {
  const { state, run } = seen(before, planner);
  const parts = [
    ...(grant.tokens > 0 ? [`${grant.tokens} tokens`] : []),
    ...(grant.usd > 0 ? [`$${grant.usd.toFixed(2)}`] : []),
  ];
  const text = `The budget for this is used up, so I stopped before spending more. Write "extend" to allow another ${parts.join(" and ")}.`;
  const asked = question(planner, {
    purpose: "budget",
    text,
    format: { kind: "free_text" },
    urgency: "normal",
  });
  return ask(state, run, { ...asked, grant }, planner);
}

/** Closes what a cancellation left open. */
export function cleanUp(before: ThreadState, planner: Planner): Plan {
  // The cancellation saw what came before it; a message that came after is not answered by it.
  const run = before.run ?? { runId: planner.ids.next() };
  const state = before;
  const withdrawn = withdraw(state.calls, "the thread was cancelled");
  const told = state.unanswered.some(({ seq }) => seq <= state.seenSeq)
    ? answer(state, run, "Cancelled.", planner)
    : plan();
  return ended(join(withdrawn, told), run, "cancelled");
}

/** The thread cannot go on, for a reason inside the program or its configuration: its messages still get an answer. */
export function giveUpThread(before: ThreadState, reason: string, planner: Planner): Plan {
  const { state, run } = seen(before, planner);
  const started =
    state.run === null
      ? plan({
          type: "run_started",
          data: { ...run, correlationId: state.latest?.correlationId ?? "" },
          actor: system,
        })
      : plan();
  return ended(join(started, answer(state, run, reason, planner)), run, "failed");
}
