/**
 * What an approval card shows must be what runs, so text that hides or reorders itself is made visible here.
 * The rule is the server's own (core/approval.ts); the console may not import server code, so it is written again and
 * tests/console/visible-text.test.ts compares the two over every code point.
 */
const hidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/** A backslash is escaped as well: otherwise a typed "\n" would look like a line break. */
const hiddenOrBackslash = new RegExp(`\\\\|${hidden.source}`, "gu");

const names: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

const escapeOf = (character: string): string =>
  names[character] ?? `\\u{${character.codePointAt(0)?.toString(16) ?? "?"}}`;

export function visibleText(text: string): string {
  return text.replace(hiddenOrBackslash, escapeOf);
}

/** `escape` is set for a character that would not be seen: it is shown marked, so nobody takes it for typed text. */
export type VisiblePart = { text: string; escape: false } | { text: string; escape: true; source: string };

/** The same text in pieces; joined they are `visibleText(text)`. */
export function visibleParts(text: string): VisiblePart[] {
  const parts: VisiblePart[] = [];
  let end = 0;
  for (const match of text.matchAll(hiddenOrBackslash)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index), escape: false });
    parts.push({ text: escapeOf(match[0]), escape: true, source: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), escape: false });
  return parts;
}

/** JSON for an editor: hidden characters as \uXXXX, so that it reads as it is and parses to the same value. */
export function editableJson(value: unknown): string {
  return JSON.stringify(value, null, 2)
    .split("\n")
    .map((line) => line.replace(hidden, jsonEscape))
    .join("\n");
}

function jsonEscape(character: string): string {
  return Array.from({ length: character.length }, (_, unit) => character.charCodeAt(unit))
    .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
    .join("");
}
