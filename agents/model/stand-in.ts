/**
 * The model that works without a key: it plays an agent by the agent's own offline script, so that Parley can be tried
 * out whole. It is named as what it is wherever a model's name shows. Deterministic; a crash loses nothing.
 */
import { z } from "zod";
import { errorLine } from "../../core/errors.ts";
import { jsonObjectSchema, jsonSchema } from "../../core/json.ts";
import type { Model, ModelRequest } from "../../core/ports.ts";
import type { Agent, OfflineStep, OfflineView } from "../agent.ts";
import { trouble } from "./trouble.ts";

const offlineViewSchema: z.ZodType<OfflineView> = z.object({
  message: z.string(),
  since: z.array(
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("result"), tool: z.string(), args: jsonObjectSchema, result: jsonSchema }),
      z.object({ kind: z.literal("failure"), tool: z.string(), args: jsonObjectSchema, error: z.string() }),
      ...(["rejected", "asked_back"] as const).map((kind) =>
        z.object({
          kind: z.literal(kind),
          tool: z.string(),
          args: jsonObjectSchema,
          reason: z.string(),
          by: z.string(),
        }),
      ),
      z.object({ kind: z.literal("expired"), tool: z.string(), args: jsonObjectSchema }),
      z.object({ kind: z.literal("problem"), line: z.string() }),
    ]),
  ),
  prefetched: z.record(z.string(), jsonSchema),
}) as z.ZodType<OfflineView>;

const name = "offline stand-in";
const noScript: OfflineStep = {
  intent: "reply",
  reasoning: "No model is configured, and this agent has no offline script.",
  confidence: 1,
  text:
    "No model is configured, so I cannot answer yet. Set OPENAI_API_KEY (and OPENAI_BASE_URL for a server other than " +
    "OpenAI's) and start Parley again.",
};

/** @param scripts gives an agent's offline script by the agent's name, or null. */
export function standInModel(scripts: (agent: string) => Agent["offline"]): Model {
  return {
    name,
    offline: true,
    async decide(request, { signal, onPartial }) {
      const startedAt = performance.now();
      signal.throwIfAborted();
      const step = play(scripts(request.agent), request);
      if (step.intent === "reply" && typeof step.text === "string" && onPartial) grow(step.text, onPartial);
      return {
        output: { step },
        model: name,
        inputTokens: estimate(request.messages.map((message) => message.content).join("\n")),
        outputTokens: estimate(JSON.stringify(step)),
        costUsd: 0,
        latencyMs: performance.now() - startedAt,
      };
    },
  };
}

function play(script: Agent["offline"], request: ModelRequest): OfflineStep {
  if (script === null) return noScript;
  const view = offlineViewSchema.safeParse(request.context);
  if (!view.success) throw trouble("bad_request", "the context is not one that the offline stand-in reads");
  try {
    return script(view.data);
  } catch (error) {
    throw trouble("bad_request", `the offline script of ${request.agent} failed: ${errorLine(error)}`, {
      cause: error,
    });
  }
}

/** In a few pieces, cut between words, so that whatever shows a growing reply has something to show. */
function grow(text: string, onPartial: (text: string) => void): void {
  const words = text.split(/(?<=\s)/);
  const wordsEach = Math.ceil(words.length / 4);
  for (let count = wordsEach; count < words.length + wordsEach; count += wordsEach) {
    onPartial(words.slice(0, count).join(""));
  }
}

/** Four characters a token: nobody is billed by it. */
const estimate = (text: string): number => Math.ceil(text.length / 4);
