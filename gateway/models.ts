/** The models of the configuration: primary and backup, or the offline stand-in when there is neither key nor endpoint. */
import type { Agent } from "../agents/agent.ts";
import { type Circuit, openCircuit } from "../agents/model/circuit.ts";
import { costUsdOf } from "../agents/model/prices.ts";
import { standInModel } from "../agents/model/stand-in.ts";
import type { Model } from "../core/ports.ts";
import type { ModelConfig } from "./config/index.ts";

export interface Models {
  primary: Model;
  backup: Model | null;
  circuit: Circuit;
  costUsd(model: string, usage: { inputTokens: number; outputTokens: number }): Promise<number | null>;
}

/** The SDK is loaded only where a model is configured: it takes memory and start time that the stand-in does not need. */
export async function openModels(config: ModelConfig, agents: ReadonlyMap<string, Agent>): Promise<Models> {
  const standIn = () => standInModel((agent) => agents.get(agent)?.offline ?? null);
  const { openAiModel } = config.online ? await import("../agents/model/openai.ts") : { openAiModel: null };
  const online = (model: string): Model => {
    if (openAiModel === null) return standIn();
    return openAiModel({
      name: model,
      model,
      // Compatible servers without a key want none, but the SDK insists on some text.
      apiKey: config.apiKey?.reveal() ?? "none",
      baseUrl: config.baseUrl ?? undefined,
      prices: config.prices,
    });
  };
  return {
    primary: config.online ? online(config.name) : standIn(),
    backup: config.online && config.fallback !== null ? online(config.fallback) : null,
    circuit: openCircuit(),
    costUsd: async (model, usage) => (config.online ? costUsdOf({ model, ...usage }, config.prices) : 0),
  };
}
