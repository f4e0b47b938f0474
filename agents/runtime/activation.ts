/**
 * One worker's hold on one thread: the lease and its heartbeat, the state as of the last commit, and the one way to
 * write. When the lease is lost, or somebody cancels the thread, `signal` fires and whatever is under way is cut off.
 */
import type { NewEvent } from "../../core/events.ts";
import { eventVersion } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import { nextAction } from "../../core/next-action.ts";
import type { Commit, Lease, LeasedThread } from "../../core/ports.ts";
import type { ThreadState } from "../../core/thread.ts";
import type { Agent } from "../agent.ts";
import { limitsOf } from "./limits.ts";
import type { LoopParts } from "./parts.ts";
import type { Planner } from "./plan.ts";

export interface Activation {
  readonly parts: LoopParts;
  readonly lease: Lease;
  readonly planner: Planner;
  /** Fires when the worker stops, the lease is lost, or the thread is cancelled. */
  readonly signal: AbortSignal;
  /** Why `signal` fired, as far as this hold knows. */
  readonly cutOff: () => "lost" | "cancelled" | null;
  state: ThreadState;
  /** The lease was given up with the last commit. */
  released: boolean;
}

export function activate(
  parts: LoopParts,
  leased: LeasedThread,
  stop: AbortSignal,
): Activation & { end(): void } {
  const { lease } = leased;
  const cut = new AbortController();
  let why: "lost" | "cancelled" | null = null;
  const beat = setInterval(() => {
    parts.log
      .renew(lease, parts.leaseTtlMs)
      .then((held) => {
        if (held === "held") return;
        why = held;
        cut.abort(new Error(`the thread is ${held}`));
      })
      // A heartbeat that fails is tried again at the next; the fence protects the log meanwhile.
      .catch(() => parts.logger("warn", "lease_renewal_failed", { threadId: lease.threadId }));
  }, parts.leaseTtlMs / 3);
  return {
    parts,
    lease,
    planner: { threadId: lease.threadId, ids: parts.ids, clock: parts.clock, policies: parts.policies },
    signal: AbortSignal.any([stop, cut.signal]),
    cutOff: () => why,
    state: leased.state,
    released: false,
    end: () => clearInterval(beat),
  };
}

/**
 * Writes one commit and rings for what it promised. `moved` means that nothing was written and the state is fresh.
 * The lease goes with the commit when the thread rests after it, or when the commit says so.
 */
export async function write(activation: Activation, commit: Commit): Promise<"committed" | "moved"> {
  const { parts, lease } = activation;
  const after = fold(numbered(commit.events, activation.state.seq), activation.state);
  const release = commit.release ?? nextAction(after, limitsOf(parts, after)).do === "rest";
  const result = await parts.log.commit(lease, activation.state, { ...commit, release });
  activation.state = result.state;
  if (result.outcome === "moved") return "moved";
  activation.released = result.released;
  parts.live.publish({ threadId: lease.threadId, kind: "changed" });
  await ringFor(activation, commit);
  return "committed";
}

async function ringFor({ parts, lease }: Activation, commit: Commit): Promise<void> {
  if ((commit.outbox ?? []).length > 0) await parts.doorbell.ringDelivery(lease.threadId);
  for (const { timerId, dueAt } of commit.timers ?? []) {
    await parts.doorbell.ringTimer(timerId, Math.max(0, Date.parse(dueAt) - parts.clock.now().getTime()));
  }
}

export const numbered = (events: readonly NewEvent[], after: number) =>
  events.map((event, index) => ({ ...event, v: eventVersion(event.type), seq: after + 1 + index, at: "" }));

export const agentOf = ({ parts, state }: Activation): Agent | undefined => parts.agents.get(state.agent);
