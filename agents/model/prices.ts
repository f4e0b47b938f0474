/**
 * What a model call costs, by the price list that comes with @pydantic/genai-prices and by the user's own prices,
 * which come first. Nothing is fetched: the list is as old as the package. It takes about 20 MB, so that it is loaded
 * by the first question and not before.
 */

/** USD for a million tokens, by model name. The user's configuration. */
export type PriceOverrides = Readonly<
  Record<string, { inputUsdPerMillion: number; outputUsdPerMillion: number }>
>;

export interface PricedUsage {
  model: string;
  inputTokens: number;
  outputTokens: number;
  /** Of the input tokens, those that the provider had in its cache. */
  cachedInputTokens?: number;
  /** Tells providers apart that sell a model of the same name; unknown addresses are priced by the name alone. */
  baseUrl?: string | undefined;
}

/** USD, or null when nobody knows the model's price. Never throws. */
export async function costUsdOf(usage: PricedUsage, overrides: PriceOverrides = {}): Promise<number | null> {
  const own = Object.hasOwn(overrides, usage.model) ? overrides[usage.model] : undefined;
  if (own !== undefined) {
    return (
      (usage.inputTokens * own.inputUsdPerMillion + usage.outputTokens * own.outputUsdPerMillion) / 1_000_000
    );
  }
  try {
    return await listedCostUsd(usage);
  } catch {
    // The list throws for usage that contradicts itself (more cached than sent): that has no price.
    return null;
  }
}

async function listedCostUsd(usage: PricedUsage): Promise<number | null> {
  const { calcPrice } = await import("@pydantic/genai-prices");
  const tokens = {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cachedInputTokens ?? 0,
  };
  const here =
    usage.baseUrl === undefined ? null : calcPrice(tokens, usage.model, { providerApiUrl: usage.baseUrl });
  return (here ?? calcPrice(tokens, usage.model))?.total_price ?? null;
}
