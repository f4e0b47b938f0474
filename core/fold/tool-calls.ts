/** What becomes of tool calls: begun, finished, failed, of unknown outcome, settled by a person. */
import type { ThreadState } from "../thread.ts";
import { type Rules, withCall, withItem, withoutCall } from "./state.ts";

export const toolCallRules: Rules<
  "tool_started" | "tool_finished" | "tool_failed" | "tool_outcome_unknown" | "tool_settled"
> = {
  tool_started: (state, { callId, attempt, idempotencyKey }) =>
    withCall(state, callId, (call) =>
      call.status === "unknown" || attempt <= call.attempt
        ? call
        : { ...call, status: "running", attempt, idempotencyKey },
    ),

  tool_finished(state, { callId, result }, event) {
    const call = state.calls.find((open) => open.callId === callId);
    if (call === undefined) return state;
    const resolved = state.transcript.filter((item) => !(item.kind === "failure" && item.tool === call.tool));
    return {
      ...withItem(
        { ...withoutCall(state, callId), transcript: resolved },
        {
          kind: "result",
          seq: event.seq,
          tool: call.tool,
          args: call.args,
          result,
        },
      ),
      errorsInRow: 0,
      inputSeq: event.seq,
    };
  },

  tool_failed(state, { callId, error }, event) {
    const call = state.calls.find((open) => open.callId === callId);
    if (call === undefined) return state;
    return {
      ...withItem(withoutCall(state, callId), {
        kind: "failure",
        seq: event.seq,
        tool: call.tool,
        args: call.args,
        error,
      }),
      errorsInRow: state.errorsInRow + 1,
      inputSeq: event.seq,
    };
  },

  tool_outcome_unknown(state, { callId, error }, event) {
    const call = state.calls.find((open) => open.callId === callId);
    if (call === undefined) return state;
    const text = `${call.tool} was started, but nobody knows whether it happened (${error}). A person was asked.`;
    return withItem(
      withCall(state, callId, (open) => ({ ...open, status: "unknown" })),
      {
        kind: "note",
        seq: event.seq,
        text,
      },
    );
  },

  tool_settled: (state, { callId, happened, note }, event) =>
    settle(state, { callId, happened, note, seq: event.seq }),
};

/** A person has said whether a call of unknown outcome happened. */
export function settle(
  state: ThreadState,
  { callId, happened, note, seq }: { callId: string; happened: boolean; note: string; seq: number },
): ThreadState {
  const call = state.calls.find((open) => open.callId === callId && open.status === "unknown");
  if (call === undefined) return state;
  const { tool, args } = call;
  const question = state.question?.callId === callId ? null : state.question;
  const settled = { ...withoutCall(state, callId), question, inputSeq: seq };
  return happened
    ? withItem(settled, {
        kind: "result",
        seq,
        tool,
        args,
        result: `A person confirmed that it happened. ${note}`,
      })
    : withItem(settled, {
        kind: "failure",
        seq,
        tool,
        args,
        error: `A person says that it did not happen. ${note}`,
      });
}
