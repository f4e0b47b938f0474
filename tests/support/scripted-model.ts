/** A model that answers what a test says, in order, and remembers what it was asked. */
import type { Model, ModelRequest } from "../../core/ports.ts";

export interface ScriptedModel extends Model {
  readonly requests: readonly ModelRequest[];
}

interface ScriptedOptions {
  name?: string;
  inputTokens?: number;
  outputTokens?: number;
  costUsd?: number | null;
}

/**
 * @param script gives the output of each call (`{ step: {...} }` or a bare step), or throws what the model shall
 * throw. Calls are counted from 0. A promise that never settles is a model that hangs: only the signal ends it.
 */
export function scriptedModel(
  script: (request: ModelRequest, callIndex: number) => unknown,
  { name = "scripted", inputTokens = 10, outputTokens = 5, costUsd = 0 }: ScriptedOptions = {},
): ScriptedModel {
  const requests: ModelRequest[] = [];
  return {
    name,
    offline: false,
    requests,
    async decide(request, { signal, onPartial }) {
      signal.throwIfAborted();
      requests.push(request);
      const answer = Promise.resolve().then(() => script(request, requests.length - 1));
      const output = await untilAborted(answer, signal);
      const text = replyText(output);
      if (text !== null) onPartial?.(text);
      return { output, model: name, inputTokens, outputTokens, costUsd, latencyMs: 0 };
    },
  };
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener("abort", onAbort));
}

function replyText(output: unknown): string | null {
  const answer = output as { step?: unknown } | null | undefined;
  const step = (answer?.step ?? answer) as { intent?: unknown; text?: unknown } | null | undefined;
  return step?.intent === "reply" && typeof step.text === "string" ? step.text : null;
}
