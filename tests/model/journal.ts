/**
 * What really happened in a sequence, in order, written down where it happens: who was given the thread, who wrote, who agreed
 * to what, which tool began with which arguments. promises.ts judges by it and by the log, never by what the loop believes.
 */
import { StaleLeaseError } from "../../core/errors.ts";
import { canonicalJson, type JsonObject } from "../../core/json.ts";
import type { AcceptResult, DecisionRequest, DecisionResult, Lease, ThreadLog } from "../../core/ports.ts";
import type { ThreadState } from "../../core/thread.ts";
import type { ApprovalRow } from "./reference-log.ts";

export interface Begun {
  tool: string;
  args: JsonObject;
  callId: string;
  idempotencyKey: string;
  attempt: number;
}

export interface Approved {
  approvalId: string;
  callId: string;
  tool: string;
  args: string;
}

export interface Holder {
  owner: string;
  fence: number;
  untilMs: number;
}

export type Promised =
  | "answered once"
  | "heard once"
  | "approved before"
  | "approval used once"
  | "written before it runs"
  | "stale writes nothing"
  | "once is once"
  | "one key for each call"
  | "one worker at a time"
  | "one run at a time"
  | "in order"
  | "steered"
  | "state is the fold"
  | "comes to rest"
  | "nothing breaks";

export interface Violation {
  promise: Promised;
  what: string;
}

export interface Journal {
  readonly violations: Violation[];
  readonly begun: readonly Begun[];
  readonly states: readonly ThreadState[];
  /** How often what happened: a test that never meets a stale worker proves nothing about it. */
  readonly counts: Map<string, number>;
  readonly accepted: ReadonlyMap<string, number>;
  watching(log: ThreadLog): ThreadLog;
  heard(key: string, result: AcceptResult): void;
  decided(request: DecisionRequest, seen: ApprovalRow | null, result: DecisionResult): void;
  began(call: Begun): void;
  logged(event: string, error: string): void;
  escaped(error: unknown): void;
  broken(promise: Promised, what: string): void;
  count(what: string): void;
}

export function journal(nowMs: () => number): Journal {
  const violations: Violation[] = [];
  const begun: Begun[] = [];
  const states: ThreadState[] = [];
  const counts = new Map<string, number>();
  const accepted = new Map<string, number>();
  const approved: Approved[] = [];
  /** Who agreed to which arguments of which approval. */
  const agreed = new Map<string, { person: string; args: string }[]>();
  let holder: Holder | null = null;
  let newestFence = 0;
  const broken = (promise: Promised, what: string): void => void violations.push({ promise, what });
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);

  function granted({ owner, fence }: Lease, ttlMs: number): void {
    if (holder !== null && nowMs() <= holder.untilMs) {
      broken("one worker at a time", `${owner} was given the thread that ${holder.owner} held`);
    }
    if (holder !== null) count("takeover");
    holder = { owner, fence, untilMs: nowMs() + ttlMs };
    newestFence = Math.max(fence, newestFence);
  }
  function wrote({ owner, fence }: Lease, released: boolean): void {
    if (fence !== newestFence || holder?.owner !== owner) {
      broken("stale writes nothing", `${owner} wrote under fence ${fence} after fence ${newestFence}`);
    }
    if (released) holder = null;
  }
  const gaveUp = (lease: Lease): void => {
    if (holder?.owner === lease.owner && holder.fence === lease.fence) holder = null;
  };

  return {
    violations,
    begun,
    states,
    counts,
    accepted,
    broken,
    count,
    watching: (log) => ({
      ...log,
      async lease(threadId, owner, ttlMs) {
        const leased = await log.lease(threadId, owner, ttlMs);
        if (leased !== null) granted(leased.lease, ttlMs);
        return leased;
      },
      async renew(lease, ttlMs) {
        const held = await log.renew(lease, ttlMs);
        if (held !== "lost" && holder?.fence === lease.fence) holder.untilMs = nowMs() + ttlMs;
        count(`renewal: ${held}`);
        return held;
      },
      async commit(lease, state, commit) {
        states.push(state);
        const result = await log.commit(lease, state, commit).catch((error: unknown) => {
          if (error instanceof StaleLeaseError) count("stale commit refused");
          throw error;
        });
        count(result.outcome);
        if (result.outcome === "committed") wrote(lease, result.released);
        return result;
      },
      async release(lease, state) {
        states.push(state);
        const released = await log.release(lease, state);
        if (released) wrote(lease, true);
        return released;
      },
      async abandon(lease, failed) {
        await log.abandon(lease, failed);
        gaveUp(lease);
      },
    }),
    heard(key, result) {
      if (result.outcome === "no_thread") return;
      const before = accepted.get(key);
      if (before === undefined) accepted.set(key, result.seq);
      else if (result.outcome !== "duplicate" || result.seq !== before) {
        broken("heard once", `the message ${key} was stored again`);
      }
    },
    decided({ approvalId, verdict, sender, args: edited }, seen, result) {
      count(`verdict: ${result.outcome}`);
      if (seen === null || (result.outcome !== "decided" && result.outcome !== "counted")) return;
      if (verdict !== "approve" && verdict !== "edit") return;
      const args = canonicalJson(verdict === "edit" ? edited : seen.args);
      const votes = [...(agreed.get(approvalId) ?? []), { person: sender.person ?? "", args }];
      agreed.set(approvalId, votes);
      if (result.outcome !== "decided") return;
      const people = new Set(votes.filter((vote) => vote.args === args).map(({ person }) => person));
      if (people.size < seen.policy.quorum) {
        broken("approved before", `${people.size} people approved ${args}`);
      }
      const { callId, tool } = seen;
      approved.push({ approvalId, callId, tool, args });
    },
    began(call) {
      count(`began: ${call.tool}`);
      if (call.attempt > 1) count("began again");
      const args = canonicalJson(call.args);
      const same = begun.filter((other) => other.callId === call.callId);
      if (call.tool === "launch" && same.length > 0) broken("once is once", `${call.callId} began again`);
      if (same.some(({ idempotencyKey }) => idempotencyKey !== call.idempotencyKey)) {
        broken("one key for each call", `${call.callId} has two keys`);
      }
      begun.push(call);
      if (call.args.policy == null) return;
      const fits = approved.filter((given) => given.tool === call.tool && given.args === args);
      if (!fits.some(({ callId }) => callId === call.callId)) {
        broken("approved before", `${call.tool} began with ${args}, which nobody approved for this call`);
      }
      const calls = new Set(
        begun
          .filter((other) => other.tool === call.tool && canonicalJson(other.args) === args)
          .map(({ callId }) => callId),
      );
      const approvalIds = new Set(fits.map(({ approvalId }) => approvalId));
      if (calls.size > approvalIds.size) {
        broken("approval used once", `${calls.size} calls by ${approvalIds.size} approvals of ${args}`);
      }
      count("began by approval");
    },
    logged(event, error) {
      count(`log: ${event}`);
      if (event === "approval_mismatch") broken("nothing breaks", event);
      if (event === "thread_failed" && error !== "the connection broke") broken("nothing breaks", error);
    },
    escaped(error) {
      // A worker that cannot even give the thread up leaves it to whoever comes when the lease has ended.
      const expected =
        error instanceof StaleLeaseError ||
        (error instanceof Error && error.message === "the connection broke");
      if (!expected) broken("nothing breaks", String(error));
      count("escaped");
    },
  };
}
