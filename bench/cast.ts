/** Who plays in the benchmarks: agents, models that take no time or a fixed one, prompts, and a sender. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Agent, defineTool } from "../agents/agent.ts";
import type { Prompts } from "../agents/runtime/prompts.ts";
import { policySchema } from "../core/approval.ts";
import type { JsonObject } from "../core/json.ts";
import type { AcceptRequest, Log, Model, ModelRequest } from "../core/ports.ts";
import type { Binding, Sender } from "../core/words.ts";
import { ids } from "../gateway/ids.ts";

const agentOf = (name: string, tools: Agent["tools"]): Agent => ({
  name,
  description: "Plays in a benchmark.",
  tools,
  limits: { maxSteps: 3, contextTokens: 8_000, maxOutputTokens: 100, modelTimeoutMs: 5_000 },
  handoffTo: [],
  promptVariables: () => ({}),
  prefetch: [],
  offline: null,
});

const deploy = defineTool({
  name: "deploy",
  description: "Deploys.",
  input: z.object({ tag: z.string() }),
  effect: "keyed",
  approval: "people",
  timeoutMs: 1_000,
  run: async () => "deployed",
});

/** Answers every message at once. */
export const echo = agentOf("echo", []);
/** Asks for approval at once. */
export const asker = agentOf("asker", [deploy]);
export const askerPolicies = new Map([["people", policySchema.parse({ name: "people" })]]);

/** A model that decides by a function of the request, after `takesMs`. */
export function model(decide: (request: ModelRequest) => JsonObject, takesMs = 0): Model {
  return {
    name: "bench",
    offline: true,
    async decide(request, { signal }) {
      if (takesMs > 0) await sleep(takesMs, undefined, { signal });
      return {
        output: { step: { reasoning: "bench", confidence: 1, ...decide(request) } },
        model: "bench",
        inputTokens: 1,
        outputTokens: 1,
        costUsd: 0,
        latencyMs: takesMs,
      };
    },
  };
}

const numbered = /<message [^>]*>#(\d+) /g;

/** Replies with the numbers of the messages that it sees, in the order of the context: what history.ts checks. */
export const readingModel = (takesMs = 0): Model =>
  model(({ messages }) => {
    const seen = [...(messages.at(-1)?.content ?? "").matchAll(numbered)].map(([, number]) => number);
    return { intent: "reply", text: seen.join(",") };
  }, takesMs);

/** Proposes a deployment, and says that it is done once the tool ran. */
export const deployingModel = (): Model =>
  model(({ messages }) =>
    (messages.at(-1)?.content ?? "").includes("<tool_result")
      ? { intent: "reply", text: "Deployed." }
      : { intent: "deploy", args: { tag: "v1" } },
  );

const prompt = { version: "v1", hash: "0".repeat(64), text: "Answer." };
export const prompts: Prompts = {
  versions: () => [],
  forThread: () => prompt,
  exactly: () => prompt,
  check: () => [],
};

/** Errors are the reader's business; everything else would drown the table. */
export const quiet: Log = (level, event, fields) => {
  if (level === "error") console.error(event, fields);
};

export const sender: Sender = {
  channel: "bench",
  account: "a",
  identity: "u",
  name: "U",
  kind: "human",
  assurance: "session",
  person: "u",
};

/** The room of a conversation; its anchor is the id that its thread gets. */
export const bindingOf = (conversation: string): Binding => ({
  channel: "bench",
  account: "a",
  room: "r",
  anchor: conversation,
});

/** A message into the thread of `conversation`, which it founds if need be. */
export function message(conversation: string, text: string, agent = "echo"): AcceptRequest {
  const binding = bindingOf(conversation);
  const id = ids.next();
  return {
    target: { binding, agent, newThreadId: conversation },
    dedupe: { channel: "bench", account: "a", key: id },
    event: {
      type: "message_received",
      data: { messageId: id, text, sender, attachments: [], via: binding, correlationId: id },
      actor: { kind: "person", sender },
    },
  };
}
