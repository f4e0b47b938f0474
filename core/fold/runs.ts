/** What happens within a run: its steps, its failures at the model, its replies and its end. */
import type { OpenCall, ThreadState } from "../thread.ts";
import { type Rules, withItem, withRequester } from "./state.ts";

export const runRules: Rules<
  | "run_started"
  | "prefetched"
  | "step_decided"
  | "model_failed"
  | "reply_committed"
  | "run_ended"
  | "handed_off"
  | "context_compacted"
> = {
  run_started(state, { runId, correlationId }) {
    if (state.run !== null) return state;
    const requesters = state.unanswered.reduce((all, { by }) => withRequester(all, by), [] as string[]);
    return {
      ...state,
      run: { runId, correlationId, steps: 0, tokens: 0, usd: 0, requesters, prefetched: {} },
    };
  },

  prefetched(state, { runId, name, outcome }, event) {
    if (state.run?.runId !== runId) return state;
    if (!outcome.ok)
      return withItem(state, {
        kind: "note",
        seq: event.seq,
        text: `Could not fetch ${name}: ${outcome.error}`,
      });
    return {
      ...state,
      run: { ...state.run, prefetched: { ...state.run.prefetched, [name]: outcome.result } },
    };
  },

  step_decided(state, step, event) {
    if (state.run?.runId !== step.runId || step.basisSeq <= state.seenSeq) return state;
    const tokens = (step.usage?.inputTokens ?? 0) + (step.usage?.outputTokens ?? 0);
    const usd = step.usage?.costUsd ?? 0;
    const counted: ThreadState = {
      ...state,
      run: {
        ...state.run,
        steps: state.run.steps + 1,
        tokens: state.run.tokens + tokens,
        usd: state.run.usd + usd,
      },
      spend: { tokens: state.spend.tokens + tokens, usd: state.spend.usd + usd },
      seenSeq: step.basisSeq,
      modelFailures: 0,
      // What was chosen but not begun is decided again by this step.
      calls: state.calls.filter((call) => call.status !== "chosen"),
    };
    switch (step.decision.type) {
      case "call":
        return {
          ...counted,
          calls: [
            ...counted.calls,
            ...step.decision.calls
              .filter((call) => !counted.calls.some((open) => open.callId === call.callId))
              .map(
                (call): OpenCall => ({
                  ...call,
                  status: "chosen",
                  approvalId: null,
                  digest: null,
                  attempt: 0,
                  idempotencyKey: null,
                }),
              ),
          ],
        };
      case "invalid":
        return {
          ...withItem(counted, { kind: "problem", seq: event.seq, text: step.decision.problem }),
          errorsInRow: counted.errorsInRow + 1,
          inputSeq: event.seq,
        };
      default:
        return counted;
    }
  },

  model_failed(state, failure) {
    if (state.run?.runId !== failure.runId) return state;
    const tokens = failure.usage.inputTokens + failure.usage.outputTokens;
    const usd = failure.usage.costUsd ?? 0;
    return {
      ...state,
      run: { ...state.run, tokens: state.run.tokens + tokens, usd: state.run.usd + usd },
      spend: { tokens: state.spend.tokens + tokens, usd: state.spend.usd + usd },
      modelFailures: state.modelFailures + 1,
      seenSeq: failure.retryTimerId === null ? Math.max(state.seenSeq, failure.basisSeq) : state.seenSeq,
    };
  },

  reply_committed(state, { text, answers }, event) {
    return {
      ...withItem(state, { kind: "reply", seq: event.seq, text }),
      unanswered: state.unanswered.filter(({ seq }) => !answers.includes(seq)),
    };
  },

  run_ended(state, { runId, outcome }) {
    const cleaned = outcome === "cancelled" && state.halted === "cancelled";
    if (state.run?.runId !== runId && !cleaned) return state;
    const kept = cleaned ? ["unknown"] : ["awaiting", "approved", "running", "unknown"];
    const calls = state.calls.filter((call) => kept.includes(call.status));
    // A run that gave up has dealt with all it was given; whoever ended it said so in the same commit.
    const gaveUp = outcome === "step_limit" || outcome === "failed" || outcome === "cancelled";
    const seenSeq = gaveUp ? Math.max(state.seenSeq, state.inputSeq) : state.seenSeq;
    const closed = { ...state, run: null, calls, seenSeq, errorsInRow: 0, modelFailures: 0 };
    const since = cleaned ? state.unanswered[0] : undefined;
    return since === undefined ? closed : { ...closed, halted: null, seenSeq: since.seq - 1 };
  },

  handed_off(state, { to, toKind, reason }, event) {
    const told = withItem(state, { kind: "note", seq: event.seq, text: `Handed over to ${to}: ${reason}` });
    return toKind === "agent"
      ? { ...told, agent: to, handoffs: state.handoffs + 1, inputSeq: event.seq }
      : told;
  },

  context_compacted(state, { throughSeq, summary }) {
    const kept = state.transcript.filter((item) => item.seq > throughSeq);
    return kept.length === state.transcript.length ? state : { ...state, transcript: kept, summary };
  },
};
