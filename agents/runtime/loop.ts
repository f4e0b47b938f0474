import { errorLine, ParleyError, StaleLeaseError } from "../../core/errors.ts";
import type { NewEvent } from "../../core/events.ts";
import { fold, senderKey } from "../../core/fold.ts";
import { type Action, nextAction } from "../../core/next-action.ts";
import type { LeasedThread } from "../../core/ports.ts";
import type { ThreadState } from "../../core/thread.ts";
import type { Agent } from "../agent.ts";
import { begin, recover } from "./act.ts";
import { type Activation, activate, agentOf, numbered, write } from "./activation.ts";
import { summarize } from "./context.ts";
import { dayLimits, grantOf, isLimited, isOver, limitsOf } from "./limits.ts";
import type { LoopParts } from "./parts.ts";
import { plan, requestApproval, system } from "./plan.ts";
import { prefetch } from "./prefetch.ts";
import { cleanUp, giveUpThread, stopAfterErrors, stopAtBudget, stopAtStepLimit } from "./stops.ts";
import { type Thought, think } from "./think.ts";

/** Failures inside the program in a row before a thread's messages are answered with an apology. */
const maxFailures = 6;

/**
 * Works on a thread until it rests, is lost, or `stop` fires. Safe to call any number of times, by any worker: only
 * the holder of the lease does anything.
 */
export async function runThread(parts: LoopParts, threadId: string, stop: AbortSignal): Promise<void> {
  const leased = await parts.log.lease(threadId, parts.owner, parts.leaseTtlMs);
  if (leased === null) return;
  const activation = activate(parts, leased, stop);
  try {
    while (!activation.released) {
      stop.throwIfAborted();
      await advance(activation);
      if (!activation.released && isSpent(activation)) {
        await parts.log.abandon(activation.lease);
        await parts.doorbell.ringThread(threadId);
        return;
      }
    }
  } catch (error) {
    await leave(activation, leased, { error, stop });
  } finally {
    activation.end();
  }
}

/** What a cancellation cut off is closed, and a message came since: a fresh hold, whose signal has not fired, goes on. */
const isSpent = ({ cutOff, state }: Activation): boolean =>
  cutOff() === "cancelled" && state.halted !== "cancelled";

/**
 * One action. A thread that was cancelled meanwhile shows it in its state, so being cut off for that is no failure. A
 * lease that is lost as well is one: trying again would be refused again, without a pause, until the next heartbeat.
 */
async function advance(activation: Activation): Promise<void> {
  const { parts } = activation;
  const action = nextAction(activation.state, limitsOf(parts, activation.state));
  try {
    await perform(activation, action);
  } catch (error) {
    if (activation.cutOff() !== "cancelled" || error instanceof StaleLeaseError) throw error;
    activation.state = await parts.log.catchUp(activation.lease.threadId, activation.state);
  }
}

async function perform(activation: Activation, action: Action): Promise<void> {
  const { parts, planner, state } = activation;
  switch (action.do) {
    case "rest":
      return rest(activation);
    case "clean_up":
      await write(activation, { ...cleanUp(state, planner), onlyIfUnmoved: true });
      return;
    case "recover":
      return recover(activation, action.calls);
    case "begin":
      return begin(activation, action.calls);
    case "request_approval": {
      const agent = agentOf(activation);
      if (agent === undefined) return giveUp(activation);
      await write(activation, {
        ...requestApproval(state, action.call, agent, planner),
        onlyIfUnmoved: true,
      });
      return;
    }
    case "compact": {
      const { throughSeq } = action;
      const summary = summarize(state, throughSeq, limitsOf(parts, state).maxTranscriptCharacters / 6);
      await write(
        activation,
        plan({ type: "context_compacted", data: { throughSeq, summary }, actor: system }),
      );
      return;
    }
    case "stop":
      return stopFor(activation, action.reason);
    case "think":
      return thinkOnce(activation);
  }
}

async function rest(activation: Activation): Promise<void> {
  const { parts, lease, state } = activation;
  activation.released = await parts.log.release(lease, state);
  if (!activation.released) activation.state = await parts.log.catchUp(lease.threadId, state);
}

async function stopFor(activation: Activation, reason: "step_limit" | "errors" | "budget"): Promise<void> {
  const { parts, planner, state, lease } = activation;
  const limits = limitsOf(parts, state);
  parts.logger("warn", "run_stopped", { threadId: lease.threadId, runId: state.run?.runId ?? null, reason });
  const stops = {
    step_limit: () => stopAtStepLimit(state, planner),
    errors: () => stopAfterErrors(state, planner),
    budget: () => stopAtBudget(state, grantOf([limits.run, limits.thread]), planner),
  };
  await write(activation, { ...stops[reason](), onlyIfUnmoved: true });
}

async function giveUp(activation: Activation): Promise<void> {
  const { parts, planner, state, lease } = activation;
  parts.logger("error", "agent_unknown", { threadId: lease.threadId, agent: state.agent });
  const text = `The agent "${state.agent}" is not available here any more.`;
  await write(activation, { ...giveUpThread(state, text, planner), onlyIfUnmoved: true });
}

async function thinkOnce(activation: Activation): Promise<void> {
  const { parts, planner } = activation;
  const agent = agentOf(activation);
  if (agent === undefined) return giveUp(activation);
  if (await dayIsOver(activation)) return;
  if (activation.state.run === null && agent.prefetch.length > 0) {
    const started = runStarted(activation);
    const fetched = await prefetch(agent, started.data.runId, activation.signal);
    await write(activation, plan(started, ...fetched));
    return;
  }
  const startedAt = performance.now();
  const basis = activation.state;
  const before = basis.run === null ? [runStarted(activation)] : [];
  const state = fold(numbered(before, basis.seq), basis);
  if (state.run === null) return;
  const { signal } = activation;
  const thought = await think({
    thinker: parts,
    planner,
    agent,
    state,
    run: state.run,
    basisSeq: basis.seq,
    signal,
  });
  const full = { ...thought.full, events: [...before, ...thought.full.events] };
  if ((await write(activation, { ...full, onlyIfUnmoved: true })) === "moved") {
    const stepOnly = { ...thought.stepOnly, events: [...before, ...thought.stepOnly.events] };
    await write(activation, isOvertaken(activation.state, thought, basis.seq) ? stepOnly : full);
  }
  tell(activation, agent, { thought, durationMs: performance.now() - startedAt });
}

/** Whether what a thought led to must not be done any more, now that the log has moved past what it saw. */
const isOvertaken = (fresh: ThreadState, { ifMoved }: Thought, basisSeq: number): boolean =>
  fresh.halted === "cancelled" || ifMoved === "stale" || (ifMoved === "unheard" && fresh.inputSeq > basisSeq);

function runStarted({ state, planner }: Activation): Extract<NewEvent, { type: "run_started" }> {
  const correlationId = state.latest?.correlationId ?? planner.threadId;
  return { type: "run_started", data: { runId: planner.ids.next(), correlationId }, actor: system };
}

function tell(
  { parts, lease }: Activation,
  agent: Agent,
  { thought, durationMs }: { thought: Thought; durationMs: number },
): void {
  parts.observe({ kind: "step", agent: agent.name, decision: thought.decision, durationMs });
  for (const call of thought.full.modelCalls ?? []) {
    parts.observe({ kind: "model_call", call });
    if (call.outcome !== "ok") {
      const { model, stage, outcome, correlationId } = call;
      parts.logger("warn", "model_call_failed", {
        threadId: lease.threadId,
        model,
        stage,
        outcome,
        correlationId,
      });
    }
  }
  for (const event of thought.full.events) {
    if (event.type === "run_ended")
      parts.observe({ kind: "run_ended", agent: agent.name, outcome: event.data.outcome });
  }
}

/** The budgets of a day hold across threads, so they are asked of the database, and only where they are set. */
async function dayIsOver(activation: Activation): Promise<boolean> {
  const { parts, state, planner } = activation;
  const { day, person } = dayLimits(parts, state);
  if (!isLimited(day) && !isLimited(person)) return false;
  const who = state.latest === null ? null : senderKey(state.latest.sender);
  const spent = await parts.log.spentToday(who);
  if (!isOver(spent.day, day, state.extension) && !isOver(spent.person, person, state.extension))
    return false;
  // The state alone does not show that the day is over: the thread has to be told to rest.
  if (state.question !== null) await rest(activation);
  else {
    const stopped = stopAtBudget(state, grantOf([day, person]), planner);
    await write(activation, { ...stopped, onlyIfUnmoved: true, release: true });
  }
  return true;
}

/** Leaves a thread that this worker cannot go on with, so that nothing is lost and nobody spins on it. */
async function leave(
  activation: Activation,
  leased: LeasedThread,
  { error, stop }: { error: unknown; stop: AbortSignal },
): Promise<void> {
  const { parts, lease } = activation;
  const { threadId } = lease;
  if (error instanceof StaleLeaseError || activation.cutOff() === "lost") {
    parts.logger("warn", "lease_lost", { threadId });
    return;
  }
  if (stop.aborted) return parts.log.abandon(lease);
  const outside = error instanceof ParleyError && error.retryable;
  parts.logger("error", "thread_failed", {
    threadId,
    error: errorLine(error),
    failures: leased.failures + 1,
  });
  if (!outside && leased.failures + 1 >= maxFailures) {
    if (await apologize(activation)) return;
  }
  await parts.log.abandon(lease, { afterMs: Math.min(1_000 * 2 ** leased.failures, 60_000) });
}

/** False when the log moved meanwhile: whoever wrote is heard before the thread is given up. */
async function apologize({ parts, lease, planner, state }: Activation): Promise<boolean> {
  const text =
    "Something is wrong on our side and I could not work on this. The people who run this server can see it.";
  const fresh = await parts.log.catchUp(lease.threadId, state);
  const apology = { ...giveUpThread(fresh, text, planner), onlyIfUnmoved: true, release: true };
  if ((await parts.log.commit(lease, fresh, apology)).outcome === "moved") return false;
  await parts.doorbell.ringDelivery(lease.threadId);
  return true;
}
