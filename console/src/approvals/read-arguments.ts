import type { Json, JsonObject } from "../../../core/json.ts";

export type ReadArguments = { ok: true; args: JsonObject } | { ok: false; problem: string };

/** Arguments are a JSON object. A number that JSON.parse would change is refused: what was typed is what must run. */
export function readArguments(text: string): ReadArguments {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return {
      ok: false,
      problem: `This is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { ok: false, problem: 'Arguments are one JSON object: { "name": "value" }.' };
  }
  const changed = findChangedNumber(text);
  if (changed !== null)
    return { ok: false, problem: `The number ${changed} is too large to be kept exactly.` };
  return { ok: true, args: value };
}

function findChangedNumber(json: string): string | null {
  const outsideStrings = json.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  const integers = outsideStrings.match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g) ?? [];
  return integers.find((text) => /^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text))) ?? null;
}
