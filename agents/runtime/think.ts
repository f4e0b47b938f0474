/**
 * One thought: state in, commit out. Asks the model (with its fallbacks), reads the answer and plans what follows.
 * Writes nothing; a kill in here costs tokens and nothing else, for the next worker thinks again from the same log.
 */
import { errorLine, type ModelError, type ModelErrorKind } from "../../core/errors.ts";
import type { NewEvent } from "../../core/events.ts";
import { applyEvent, senderKey } from "../../core/fold.ts";
import type { Clock, Commit, Ids, Live, Model, ModelCallRecord, ModelRequest } from "../../core/ports.ts";
import type { Decision, Step } from "../../core/step.ts";
import type { Run, ThreadState } from "../../core/thread.ts";
import type { ModelUsage } from "../../core/words.ts";
import type { Agent } from "../agent.ts";
import { type ChainAnswer, decideWithFallback, type FailedAttempt, ModelChainError } from "../model/chain.ts";
import type { Circuit } from "../model/circuit.ts";
import { buildMessages, offlineView } from "./context.ts";
import { decide } from "./decide.ts";
import {
  agentActor,
  answer,
  consequences,
  ended,
  join,
  type Plan,
  type Planner,
  plan,
  system,
  timerSet,
} from "./plan.ts";
import type { Prompts, RenderedPrompt } from "./prompts.ts";
import { readStep, stepForm } from "./step-schema.ts";

export interface Thinker {
  prompts: Prompts;
  primary: Model;
  backup: Model | null;
  circuit?: Circuit | undefined;
  live: Live;
  ids: Ids;
  clock: Clock;
  /** What failed attempts cost, where a provider counted it; null when the price is not known. */
  costUsd(model: string, usage: { inputTokens: number; outputTokens: number }): Promise<number | null>;
}

export interface Thought {
  /** Everything to write. */
  full: Commit;
  /** What to write instead when the log moved meanwhile and what follows must be decided again. */
  stepOnly: Commit;
  decision: Decision["type"] | "model_failed";
  /**
   * What a log that moved means for `full`. `stale`: it must not be written, the step alone is. `unheard`: the same, if
   * something new asks for a decision. `stands`: it is written all the same.
   */
  ifMoved: "stale" | "unheard" | "stands";
}

export interface Thinking {
  thinker: Thinker;
  planner: Planner;
  agent: Agent;
  /** With a run. */
  state: ThreadState;
  /** The position of the log that the model sees: what comes later is not answered by this step. */
  basisSeq: number;
  run: Run;
  signal: AbortSignal;
}

/** The request for the next step, exactly as the model gets it. Pure. */
export function stepRequest(
  agent: Agent,
  state: ThreadState,
  prompt: RenderedPrompt,
  maxTokens: number,
): ModelRequest {
  const form = stepForm(agent);
  return {
    agent: agent.name,
    messages: buildMessages(state, prompt.text, { maxTokens }),
    schema: form.schema,
    schemaName: form.name,
    maxOutputTokens: agent.limits.maxOutputTokens,
    context: JSON.parse(JSON.stringify(offlineView(state, agent))),
  };
}

/** Tokens that the context may take: half of it once the model has found it too long. */
export const contextTokensAt = ({ limits }: Agent, stage: ModelUsage["stage"]): number =>
  stage === "compacted" ? Math.floor(limits.contextTokens / 2) : limits.contextTokens;

/** @throws the signal's reason when the worker stops or loses the thread. */
export async function think(thinking: Thinking): Promise<Thought> {
  const { thinker, agent, state, signal, planner } = thinking;
  const prompt = thinker.prompts.forThread(agent.name, planner.threadId, agent.promptVariables());
  try {
    const answered = await decideWithFallback({
      primary: thinker.primary,
      backup: thinker.backup,
      circuit: thinker.circuit,
      request: stepRequest(agent, state, prompt, contextTokensAt(agent, "primary")),
      compacted: () => stepRequest(agent, state, prompt, contextTokensAt(agent, "compacted")),
      signal,
      timeoutMs: agent.limits.modelTimeoutMs,
      onPartial: (text) => thinker.live.publish({ threadId: planner.threadId, kind: "partial", text }),
    });
    return await decided(thinking, prompt, answered);
  } catch (error) {
    if (error instanceof ModelChainError) return failed(thinking, prompt, error);
    throw error;
  }
}

async function decided(thinking: Thinking, prompt: RenderedPrompt, answered: ChainAnswer): Promise<Thought> {
  const { agent, state, run, planner, basisSeq } = thinking;
  const read = readStep(agent, answered.answer.output);
  const decision: Decision = read.ok
    ? decide(state, read.choice, planner)
    : { type: "invalid", intent: read.intent, problem: read.problem };
  const usage = usageOf(planner.ids.next(), prompt, answered);
  const step: Step = {
    stepId: planner.ids.next(),
    runId: run.runId,
    basisSeq,
    reasoning: read.ok ? read.reasoning : "",
    confidence: read.ok ? read.confidence : 0,
    decision,
    usage,
  };
  const event: NewEvent = { type: "step_decided", data: step, actor: agentActor(agent.name) };
  const modelCalls = [
    ...(await failedCalls(thinking, prompt, answered.attempts)),
    { ...callFacts(thinking), ...usage, stepId: step.stepId, outcome: "ok" },
  ];
  const after = applyEvent(state, { ...event, v: 1, seq: state.seq + 1, at: "" });
  const full = join(plan(event), consequences(after, decision, agent, planner));
  return {
    full: { ...full, modelCalls },
    stepOnly: { events: [event], modelCalls },
    decision: decision.type,
    ifMoved: full.approvals.length > 0 ? "stale" : decision.type === "ask" ? "unheard" : "stands",
  };
}

const usageOf = (
  modelCallId: string,
  prompt: RenderedPrompt,
  { answer: given, stage }: ChainAnswer,
): ModelUsage => ({
  modelCallId,
  model: given.model,
  stage,
  promptVersion: prompt.version,
  promptHash: prompt.hash,
  inputTokens: given.inputTokens,
  outputTokens: given.outputTokens,
  costUsd: given.costUsd,
  latencyMs: given.latencyMs,
});

const callFacts = ({ agent, run, state }: Thinking) => ({
  runId: run.runId,
  agent: agent.name,
  person: state.latest === null ? null : senderKey(state.latest.sender),
  correlationId: run.correlationId,
});

const nothingSpent: NonNullable<FailedAttempt["usage"]> = { inputTokens: 0, outputTokens: 0 };

async function failedCalls(
  thinking: Thinking,
  prompt: RenderedPrompt,
  attempts: readonly FailedAttempt[],
): Promise<ModelCallRecord[]> {
  const { thinker } = thinking;
  return Promise.all(
    attempts.map(async ({ stage, model, kind, latencyMs, usage = nothingSpent }) => ({
      ...callFacts(thinking),
      modelCallId: thinker.ids.next(),
      stepId: null,
      model,
      stage,
      promptVersion: prompt.version,
      promptHash: prompt.hash,
      ...usage,
      costUsd: usage.costUsd !== undefined ? usage.costUsd : await thinker.costUsd(model, usage),
      latencyMs,
      outcome: kind,
    })),
  );
}

/** Attempts at one answer, over all retries, before a person is told. */
const maxModelFailures = 5;
const firstRetryMs = 2_000;
const longestRetryMs = 5 * 60_000;
/** An answer in the wrong form may well be right the next time; a refusal will not. */
const worthAnotherTry: readonly ModelErrorKind[] = ["invalid_output", "length"];

async function failed(thinking: Thinking, prompt: RenderedPrompt, error: ModelChainError): Promise<Thought> {
  const { state, run, planner, thinker } = thinking;
  const calls = await failedCalls(thinking, prompt, error.attempts);
  const again =
    state.modelFailures + 1 < maxModelFailures && (error.retryable || worthAnotherTry.includes(error.kind));
  const timerId = planner.ids.next();
  const event = (retryTimerId: string | null): NewEvent => ({
    type: "model_failed",
    data: {
      runId: run.runId,
      basisSeq: thinking.basisSeq,
      kind: error.kind,
      error: errorLine(error),
      retryTimerId,
      usage: {
        inputTokens: sum(calls.map((call) => call.inputTokens)),
        outputTokens: sum(calls.map((call) => call.outputTokens)),
        costUsd: sum(calls.map((call) => call.costUsd ?? 0)),
      },
    },
    actor: system,
  });
  const pauseMs = retryPauseMs(state.modelFailures, error, thinker.ids.randomBytes(1)[0] ?? 0);
  const dueAt = new Date(thinker.clock.now().getTime() + pauseMs).toISOString();
  const retry: Plan = {
    ...plan(event(timerId), timerSet(timerId, dueAt, "model_retry")),
    timers: [{ timerId, dueAt, kind: "model_retry" }],
  };
  const full = again ? retry : join(plan(event(null)), giveUp(thinking, error));
  return {
    full: { ...full, modelCalls: calls },
    // Whoever wrote meanwhile would be given up on unheard: then it is tried once more, however often it has failed.
    stepOnly: { ...retry, modelCalls: calls },
    decision: "model_failed",
    ifMoved: again ? "stands" : "stale",
  };
}

function retryPauseMs(failures: number, error: ModelError, jitterByte: number): number {
  const backoff = Math.min(firstRetryMs * 4 ** failures, longestRetryMs);
  const asked = Math.min(error.retryAfterMs ?? 0, longestRetryMs);
  return Math.round(Math.max(backoff, asked) * (1 + jitterByte / 1024));
}

/** The end of the fallbacks: the people in the thread are told, and the hand-over shows in the console. */
function giveUp({ state, run, agent, planner, basisSeq }: Thinking, error: ModelError): Plan {
  const seen = { ...state, seenSeq: basisSeq };
  const text = `${error.publicText} I cannot go on without it; the people who run this server can see why. Write again to make me try again.`;
  const handed = plan({
    type: "handed_off",
    data: { runId: run.runId, to: "person", toKind: "person", reason: `model: ${error.kind}` },
    actor: agentActor(agent.name),
  });
  return ended(join(answer(seen, run, text, planner), handed), run, "failed");
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
