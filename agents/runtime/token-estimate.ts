/**
 * A quick estimate of tokens, for budgets only: no vocabulary to load, a few milliseconds for a whole context. It errs on
 * the side of too many; tests/agents/runtime/context.test.ts compares it with the exact count in many languages.
 */

/** Words by their case, up to three digits, white space beyond one blank, runs of signs, other scripts. */
const pieces =
  /[A-Z]?[a-z]+|[A-Z]+|\d{1,3}|\s{2,}|[\t\n\r]|[!-/:-@[-`{-~]+|[\u00a0-\u06ff\u0900-\u0e7f\u10a0-\u11ff\u1e00-\u206f\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]+|[^\0-\u009f]/gu;
/** Scripts that tokenizers know well: a token for each three bytes at most. */
const wellKnown =
  /^[\u00a0-\u06ff\u0900-\u0e7f\u10a0-\u11ff\u1e00-\u206f\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]/u;

/** Additive: the estimate of texts joined by line breaks is at most the sum of theirs and one for each break. */
export function estimateTokens(text: string): number {
  let tokens = 0;
  for (const [piece] of text.matchAll(pieces)) tokens += tokensOf(piece);
  return Math.ceil(tokens);
}

function tokensOf(piece: string): number {
  if (piece.charCodeAt(0) > 0x7f) return wellKnown.test(piece) ? Buffer.byteLength(piece) / 3 : 2.5;
  if (/^[\s\d]/.test(piece)) return 1;
  if (/^[A-Z]{2}/.test(piece)) return Math.max(1, piece.length / 2.5);
  return Math.max(1, piece.length / (/^[a-zA-Z]/.test(piece) ? 4 : 1.7));
}
