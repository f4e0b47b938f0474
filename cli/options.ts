/** Parsers for the values of options and arguments; commander reports what they refuse as a usage error. */
import { InvalidArgumentError } from "commander";
import { type Json, type JsonObject, jsonObjectSchema } from "../core/json.ts";

export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`give a whole number from ${least} to ${most}.`);
  };

export function jsonArguments(text: string): JsonObject {
  const parsed = jsonObjectSchema.safeParse(asJson(text));
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`give a JSON object, like '{"tag":"v1.4.3"}'.`);
}

/** `name=value`, gathered over several uses. The value is JSON where it can be read as such, else a text. */
export function assignment(text: string, before: JsonObject = {}): JsonObject {
  const read = readAssignment(text);
  if (read === null) throw new InvalidArgumentError("give name=value, like tag=v1.4.3.");
  return { ...before, ...read };
}

export function readAssignment(text: string): JsonObject | null {
  const [, name, value = ""] = /^([A-Za-z_][A-Za-z0-9_.-]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) return null;
  const json = asJson(value);
  return { [name]: json === undefined ? value : (json as Json) };
}

export function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
