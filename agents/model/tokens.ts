/**
 * Counts tokens where a provider does not report them, by o200k_base: exact for OpenAI's newer models, close enough
 * for budgets elsewhere. The vocabulary costs about 75 MB and 0.2 s, so it is loaded by the first count and not before.
 */

/** One piece's merge is quadratic in the longest run without a break: pieces keep 100,000 equal letters at milliseconds. */
const pieceCharacters = 500;

/** Within about one token for each 500 characters of the exact count, usually above it: a piece's edge may split a token. */
export async function countTokens(text: string): Promise<number> {
  const { countTokens: count } = await import("gpt-tokenizer/encoding/o200k_base");
  let tokens = 0;
  for (let start = 0; start < text.length; start += pieceCharacters) {
    // Texts may spell out "<|endoftext|>"; by default the tokenizer throws at it.
    tokens += count(text.slice(start, start + pieceCharacters), { disallowedSpecial: new Set() });
  }
  return tokens;
}
