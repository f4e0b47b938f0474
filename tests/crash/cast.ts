/** The agent, the model and the channels of the harness: each of them speaks to the outside over a real connection. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { z } from "zod";
import { type Agent, defineTool, type Tool } from "../../agents/agent.ts";
import type { Prompts } from "../../agents/runtime/prompts.ts";
import type { Channel, Delivery } from "../../channels/channel.ts";
import { type Policy, policySchema } from "../../core/approval.ts";
import { DeliveryError, errorLine, ModelError } from "../../core/errors.ts";
import type { Model } from "../../core/ports.ts";
import { expiryMs, type PlatformKind, platformKinds, toolEffects } from "./words.ts";

const modelTimeoutMs = 1_000;

export const policies: ReadonlyMap<string, Policy> = new Map(
  [
    { name: "ask" },
    { name: "soon", expiresAfterMs: expiryMs },
    { name: "two", quorum: 2 },
    { name: "notme", notRequester: true },
  ].map((policy) => [policy.name, policySchema.parse(policy)]),
);

/** How late this process's timers were at most: on a machine without time to spare a lease runs out by itself. */
const lateness = monitorEventLoopDelay({ resolution: 20 });
lateness.enable();
export const forgetLateness = (): void => lateness.reset();

async function post(url: string, body: object, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  const facts = { pid: process.pid, lateMs: lateness.max / 1e6, ...body };
  const response = await fetch(url, { method: "POST", body: JSON.stringify(facts), signal });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

const argsSchema = z.object({ id: z.string(), amount: z.number(), policy: z.string().nullish() });

export function toolsAt(url: string): Tool[] {
  return Object.entries(toolEffects).map(([name, effect]) =>
    defineTool({
      name,
      description: `Does ${name}.`,
      input: argsSchema,
      effect,
      approval: (args) => args.policy ?? null,
      subject: (args) => `${name} ${args.id}`,
      timeoutMs: 3_000,
      async run(args, { signal, callId, idempotencyKey, attempt }) {
        await post(
          `${url}/tool`,
          { tool: name, id: args.id, callId, key: idempotencyKey, attempt, args },
          signal,
        );
        return { done: args.id };
      },
    }),
  );
}

export const agentOf = (tools: readonly Tool[]): Agent => ({
  name: "crash",
  description: "For the crash harness.",
  tools,
  limits: { maxSteps: 20, contextTokens: 60_000, maxOutputTokens: 500, modelTimeoutMs },
  handoffTo: [],
  promptVariables: () => ({}),
  prefetch: [],
  offline: null,
});

const prompt = { version: "v1", hash: "0".repeat(64), text: "Do as told." };
export const prompts: Prompts = {
  versions: () => [],
  forThread: () => prompt,
  exactly: () => prompt,
  check: () => [],
};

const modelAnswer = z.object({ output: z.unknown() });

export const modelAt = (url: string): Model => ({
  name: "told",
  offline: false,
  async decide(request, { signal, timeoutMs, onPartial }) {
    const limit = AbortSignal.timeout(timeoutMs);
    try {
      const body = { prompt: request.messages.map(({ content }) => content).join("\n") };
      const { output } = modelAnswer.parse(
        await post(`${url}/model`, body, AbortSignal.any([signal, limit])),
      );
      const text = /"text":"([^"]*)"/.exec(JSON.stringify(output))?.[1];
      if (text !== undefined) onPartial?.(text.slice(0, text.length / 2));
      return { output, model: "told", inputTokens: 1, outputTokens: 1, costUsd: 0, latencyMs: 1 };
    } catch (error) {
      signal.throwIfAborted();
      const kind = limit.aborted ? "timeout" : "broken_stream";
      throw new ModelError(kind, errorLine(error), { retryable: true, cause: error });
    }
  },
});

export const channelsAt = (url: string): Channel[] => platformKinds.map((kind) => channelAt(url, kind));

const foundAnswer = z.object({ found: z.boolean().nullable() });

function channelAt(url: string, platform: PlatformKind): Channel {
  const facts = ({ id, binding, kind, content }: Delivery) => ({
    platform,
    anchor: binding.anchor,
    deliveryId: id,
    kind,
    content,
  });
  return {
    name: platform,
    ingress: { kind: "api" },
    maxSendsPerSecond: Number.POSITIVE_INFINITY,
    sendIsIdempotent: platform === "keyed",
    async send(delivery, signal) {
      try {
        await post(`${url}/send`, facts(delivery), signal);
        return { platformId: `p-${delivery.id}` };
      } catch (error) {
        throw deliveryError(error, "unknown");
      }
    },
    async find(delivery, signal) {
      try {
        const { found } = foundAnswer.parse(await post(`${url}/find`, facts(delivery), signal));
        if (found === null) return "unknown";
        return found ? { platformId: `p-${delivery.id}` } : "absent";
      } catch (error) {
        throw deliveryError(error, "not_sent");
      }
    },
  };
}

const deliveryError = (error: unknown, outcome: "not_sent" | "unknown"): DeliveryError =>
  new DeliveryError(errorLine(error), { operation: "send", publicText: "Not sent.", outcome, cause: error });
