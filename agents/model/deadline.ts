/**
 * The end of one model call's patience: the caller's signal, a limit for the whole call, and a limit for silence once
 * the answer has begun. One timer each, all of them gone after `end()`; nothing survives a crash.
 */
export type CutOff = "caller" | "timeout" | "idle";

export interface Deadline {
  /** Fires with whichever limit comes first. */
  readonly signal: AbortSignal;
  /** Which limit it was, or null while none has been reached. */
  cutOff(): CutOff | null;
  /** Bytes have arrived: silence is counted anew. */
  alive(): void;
  /** Clears the timers and lets go of the caller's signal. Safe to repeat. */
  end(): void;
}

export function startDeadline(caller: AbortSignal, timeoutMs: number, idleTimeoutMs: number): Deadline {
  const controller = new AbortController();
  let reached: CutOff | null = null;
  const reach = (limit: CutOff): void => {
    reached ??= limit;
    end();
    controller.abort();
  };
  const onCaller = (): void => reach("caller");
  const whole = setTimeout(() => reach("timeout"), timeoutMs);
  let idle: NodeJS.Timeout | undefined;
  const end = (): void => {
    clearTimeout(whole);
    clearTimeout(idle);
    caller.removeEventListener("abort", onCaller);
  };
  if (caller.aborted) onCaller();
  else caller.addEventListener("abort", onCaller, { once: true });

  return {
    signal: controller.signal,
    cutOff: () => reached,
    alive: () => {
      if (reached !== null) return;
      if (idle === undefined) idle = setTimeout(() => reach("idle"), idleTimeoutMs);
      else idle.refresh();
    },
    end,
  };
}
