/** What the rules of the fold are written with: small changes of a state, each giving a new one. Pure. */
import type { EventOf, EventType, ThreadEvent } from "../events.ts";
import type { OpenCall, ThreadState, TranscriptItem } from "../thread.ts";
import type { Sender } from "../words.ts";

/** What one type of event does to a state. An event that does not fit gives the state back unchanged. */
type Apply<T extends EventType> = (state: ThreadState, facts: EventOf<T>, event: ThreadEvent) => ThreadState;

export type Rules<T extends EventType = EventType> = { readonly [K in T]: Apply<K> };

/** A person's id where we know the person, otherwise the identity that the channel gave. */
export const senderKey = (sender: Sender): string => sender.person ?? `${sender.channel}:${sender.identity}`;

export const withItem = (state: ThreadState, item: TranscriptItem): ThreadState => ({
  ...state,
  transcript: [...state.transcript, item],
});

export function withApprovalItem(
  state: ThreadState,
  outcome: Extract<TranscriptItem, { kind: "approval" }>["outcome"],
  callId: string,
  facts: { seq: number; by: string; reason: string },
): ThreadState {
  const call = state.calls.find((open) => open.callId === callId);
  if (call === undefined) return state;
  return withItem(state, { kind: "approval", outcome, tool: call.tool, args: call.args, ...facts });
}

export const withCall = (
  state: ThreadState,
  callId: string,
  change: (call: OpenCall) => OpenCall,
): ThreadState => ({
  ...state,
  calls: state.calls.map((call) => (call.callId === callId ? change(call) : call)),
});

export const withoutCall = (state: ThreadState, callId: string): ThreadState => ({
  ...state,
  calls: state.calls.filter((call) => call.callId !== callId),
});

export const awaiting = (state: ThreadState, approvalId: string): OpenCall | undefined =>
  state.calls.find((call) => call.approvalId === approvalId && call.status === "awaiting");

export const withRequester = (requesters: readonly string[], by: string): string[] =>
  requesters.includes(by) ? [...requesters] : [...requesters, by];
