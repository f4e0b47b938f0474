/**
 * What happens when a model fails: primary, backup, compact and retry when the context is too long (DESIGN section 4).
 * The human at the end of that chain is the loop's. Nothing is stored here: the attempts go back to the loop, which
 * records each of them, and after a crash the chain starts from its beginning.
 *
 *   primary ──trouble──▶ backup ──trouble──▶ ModelChainError
 *      │                   │
 *      └─context too long──┴──▶ compacted, the same model, once for each decision
 */
import { ModelError, type ModelErrorKind } from "../../core/errors.ts";
import type { Model, ModelAnswer, ModelRequest } from "../../core/ports.ts";
import type { ModelUsage } from "../../core/words.ts";
import type { Circuit } from "./circuit.ts";

export type Stage = ModelUsage["stage"];

/** One call that came to nothing. */
export interface FailedAttempt {
  stage: Stage;
  model: string;
  kind: ModelErrorKind;
  error: string;
  latencyMs: number;
  /** Undefined when the provider never began to answer. */
  usage: ModelError["usage"];
}

/**
 * The last attempt's trouble. Worth trying again when any of the attempts was: a backup with a wrong key must not
 * make the primary's short outage final.
 */
export class ModelChainError extends ModelError {
  readonly attempts: readonly FailedAttempt[];

  constructor(last: ModelError, errors: readonly ModelError[], attempts: readonly FailedAttempt[]) {
    const waitsMs = errors.filter((error) => error.retryable).map((error) => error.retryAfterMs ?? 0);
    const retryAfterMs = Math.min(...waitsMs);
    super(last.kind, last.message, {
      retryable: waitsMs.length > 0,
      ...(Number.isFinite(retryAfterMs) && retryAfterMs > 0 ? { retryAfterMs } : {}),
      cause: last,
      usage: last.usage,
    });
    this.attempts = attempts;
  }
}

export interface ChainCall {
  primary: Model;
  backup: Model | null;
  request: ModelRequest;
  /** Builds the shorter request, or gives null when it cannot get any shorter. Called once at most. */
  compacted: () => Promise<ModelRequest | null> | ModelRequest | null;
  signal: AbortSignal;
  /** For each attempt. There are three at most. */
  timeoutMs: number;
  /** Starts again from an empty text when an attempt fails in the middle of a reply. */
  onPartial?: ((replyText: string) => void) | undefined;
  /** Of the primary. */
  circuit?: Circuit | undefined;
}

export interface ChainAnswer {
  answer: ModelAnswer;
  stage: Stage;
  /** What failed before, oldest first. */
  attempts: FailedAttempt[];
}

/**
 * @throws {ModelChainError} when every attempt failed; it carries all of them.
 * @throws the signal's reason when the caller gives up, and whatever else is not a ModelError.
 */
export async function decideWithFallback(call: ChainCall): Promise<ChainAnswer> {
  const progress: Progress = { request: call.request, mayCompact: true, errors: [], attempts: [] };
  for (const [stage, model] of order(call)) {
    const done = await tryStage(call, progress, { stage, model });
    if (done !== null) return done;
  }
  const last = progress.errors.at(-1);
  if (last === undefined) throw new TypeError("a chain without models");
  throw new ModelChainError(last, progress.errors, progress.attempts);
}

interface Progress {
  request: ModelRequest;
  mayCompact: boolean;
  readonly errors: ModelError[];
  readonly attempts: FailedAttempt[];
}

interface Attempt {
  stage: Stage;
  model: Model;
}

/** While the circuit is open the primary comes last, so that it is still better than nothing. */
function order({ primary, backup, circuit }: ChainCall): [Stage, Model][] {
  if (backup === null) return [["primary", primary]];
  const models: [Stage, Model][] = [
    ["primary", primary],
    ["backup", backup],
  ];
  return circuit === undefined || circuit.allows() ? models : models.reverse();
}

/** One model: with the request as it is and, when that is too long for it, once more with the compacted one. */
async function tryStage(call: ChainCall, progress: Progress, attempt: Attempt): Promise<ChainAnswer | null> {
  const done = await tryOnce(call, progress, attempt);
  if (done !== null || progress.errors.at(-1)?.kind !== "context_length" || !progress.mayCompact) return done;
  progress.mayCompact = false;
  const shorter = await call.compacted();
  if (shorter === null) return null;
  progress.request = shorter;
  return tryOnce(call, progress, { ...attempt, stage: "compacted" });
}

async function tryOnce(
  call: ChainCall,
  progress: Progress,
  { stage, model }: Attempt,
): Promise<ChainAnswer | null> {
  call.signal.throwIfAborted();
  const startedAt = performance.now();
  const circuit = model === call.primary ? call.circuit : undefined;
  const { signal, timeoutMs, onPartial } = call;
  try {
    const answer = await model.decide(progress.request, {
      signal,
      timeoutMs,
      ...(onPartial === undefined ? {} : { onPartial }),
    });
    circuit?.succeeded();
    return { answer, stage, attempts: progress.attempts };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    circuit?.failed(error.kind);
    progress.errors.push(error);
    progress.attempts.push({
      stage,
      model: model.name,
      kind: error.kind,
      error: error.message,
      latencyMs: performance.now() - startedAt,
      usage: error.usage,
    });
    return null;
  }
}
