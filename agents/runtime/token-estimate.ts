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
  return Math.ceil(isAscii(text) ? asciiTokens(text) : anyTokens(text));
}

const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text);

/** Of any text. Exported for the test that compares it with the quicker way. */
export function anyTokens(text: string): number {
  let tokens = 0;
  for (const [piece] of text.matchAll(pieces)) tokens += tokensOf(piece);
  return tokens;
}

function tokensOf(piece: string): number {
  if (piece.charCodeAt(0) > 0x7f) return wellKnown.test(piece) ? Buffer.byteLength(piece) / 3 : 2.5;
  if (/^[\s\d]/.test(piece)) return 1;
  if (/^[A-Z]{2}/.test(piece)) return capitals(piece.length);
  return /^[a-zA-Z]/.test(piece) ? word(piece.length) : signs(piece.length);
}

const word = (length: number): number => Math.max(1, length / 4);
const capitals = (length: number): number => Math.max(1, length / 2.5);
const signs = (length: number): number => Math.max(1, length / 1.7);

const [other, blank, space, digit, upper, lower, sign] = [0, 1, 2, 3, 4, 5, 6];
const classes = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (character === " ") return blank;
  if (/\s/.test(character)) return space;
  if (/\d/.test(character)) return digit;
  if (/[A-Z]/.test(character)) return upper;
  if (/[a-z]/.test(character)) return lower;
  return /[!-~]/.test(character) ? sign : other;
});

/** The same pieces, found without a regular expression: several times as quick, and most text is ASCII. */
export function asciiTokens(text: string): number {
  const { length } = text;
  let tokens = 0;
  let at = 0;
  while (at < length) {
    const from = at;
    const kind = classes[text.charCodeAt(at++)] ?? other;
    if (kind === digit) {
      while (at < length && at < from + 3 && classes[text.charCodeAt(at)] === digit) at++;
      tokens += 1;
      continue;
    }
    if (kind === blank || kind === space) {
      let next = classes[text.charCodeAt(at)];
      while (at < length && (next === blank || next === space)) next = classes[text.charCodeAt(++at)];
      tokens += at - from > 1 || isBreak(text.charCodeAt(from)) ? 1 : 0;
      continue;
    }
    if (kind === other) continue;
    while (at < length && classes[text.charCodeAt(at)] === kind) at++;
    if (kind === upper && at - from === 1) {
      while (at < length && classes[text.charCodeAt(at)] === lower) at++;
      tokens += word(at - from);
    } else tokens += (kind === upper ? capitals : kind === lower ? word : signs)(at - from);
  }
  return tokens;
}

/** Tab, line feed, carriage return: a token of their own even when they stand alone. */
const isBreak = (code: number): boolean => code === 9 || code === 10 || code === 13;
