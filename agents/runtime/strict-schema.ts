/**
 * Turns a zod object into the strict subset of JSON schema that structured outputs accept
 * (https://platform.openai.com/docs/guides/structured-outputs, "Supported schemas"), and undoes on the way back what
 * that subset forces on an answer. Everything here is pure, so nothing is left over after a crash.
 *
 * Strict means: every property is required, an optional one may be null instead; no additional properties; no $ref.
 * Limits (length, range, pattern) are told in the description instead of by keywords, because servers differ in which
 * keywords they refuse; zod still checks each of them when the answer is read.
 */
import { z } from "zod";
import type { Json, JsonObject } from "../../core/json.ts";

/** A schema as zod writes it (`loose`) and as the model is held to it (`strict`). */
export interface BothSchemas {
  readonly loose: JsonObject;
  readonly strict: JsonObject;
}

/**
 * @param where names the schema in errors: "deploy".
 * @throws {Error} with a plain sentence for what strict schemas cannot express: free-form objects, `any`, tuples,
 * recursion, and arguments that would not survive being stored as JSON (dates, transforms).
 */
export function bothSchemas(schema: z.ZodObject, where: string): BothSchemas {
  const loose = jsonSchemaOf(schema, "input", where);
  jsonSchemaOf(schema, "output", where);
  return { loose, strict: strictNode(loose, { root: loose, path: where, open: [] }) };
}

function jsonSchemaOf(schema: z.ZodObject, io: "input" | "output", where: string): JsonObject {
  try {
    return z.toJSONSchema(schema, { io, reused: "inline" }) as JsonObject;
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

interface Place {
  readonly root: JsonObject;
  readonly path: string;
  /** The references that are being resolved: meeting one again means recursion. */
  readonly open: readonly string[];
}

const at = (place: Place, member: string): Place => ({ ...place, path: `${place.path}.${member}` });

function strictNode(node: JsonObject, place: Place): JsonObject {
  if (typeof node.$ref === "string") return strictReference(node.$ref, place);
  const description = describe(node);
  const branches = unionOf(node);
  if (branches !== null)
    return { ...description, anyOf: branches.map((branch) => strictNode(branch, place)) };
  if (node.const !== undefined) return { ...typeOfConstant(node.const), ...description, enum: [node.const] };
  if (Array.isArray(node.enum)) return { type: node.type ?? "string", ...description, enum: node.enum };
  if (node.type === "object") return { ...strictObject(node, place), ...description };
  if (node.type === "array" && isObject(node.items)) {
    return { type: "array", ...description, items: strictNode(node.items, at(place, "items")) };
  }
  if (typeof node.type === "string" && scalarTypes.has(node.type)) return { type: node.type, ...description };
  throw new Error(`${place.path}: this kind of value cannot be asked of a model with a strict schema`);
}

const scalarTypes = new Set(["string", "number", "integer", "boolean", "null"]);

const typeOfConstant = (value: Json): JsonObject => ({ type: value === null ? "null" : typeof value });

function strictReference(reference: string, place: Place): JsonObject {
  if (place.open.includes(reference)) throw new Error(`${place.path}: a recursive schema cannot be used`);
  const target = resolve(reference, place.root);
  if (target === null) throw new Error(`${place.path}: a recursive schema cannot be used`);
  return strictNode(target, { ...place, open: [...place.open, reference] });
}

function strictObject(node: JsonObject, place: Place): JsonObject {
  const members = membersOf(node);
  const names = Object.keys(members);
  if (isObject(node.additionalProperties) && names.length === 0) {
    throw new Error(`${place.path}: a free-form object cannot be used; name its members`);
  }
  const properties = Object.entries(members).map(([name, member]) => {
    const strict = strictNode(member, at(place, name));
    return [name, isRequired(node, name) ? strict : nullable(strict)] as const;
  });
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    required: names,
    additionalProperties: false,
  };
}

function nullable(node: JsonObject): JsonObject {
  if (acceptsNull(node, node)) return node;
  if (Array.isArray(node.anyOf)) return { ...node, anyOf: [...node.anyOf, { type: "null" }] };
  return { anyOf: [node, { type: "null" }] };
}

/** Keywords that are told in words. Formats stand for their pattern, which is long and says less. */
function describe(node: JsonObject): JsonObject {
  const limits = limitWords.flatMap(([keyword, words]) => {
    const limit = node[keyword];
    if (typeof limit !== "number" || Math.abs(limit) >= Number.MAX_SAFE_INTEGER) return [];
    return [`${words} ${limit}`];
  });
  if (typeof node.format === "string") limits.push(`format ${node.format}`);
  else if (typeof node.pattern === "string" && node.pattern.length <= 100) {
    limits.push(`matches ${node.pattern}`);
  }
  const text = typeof node.description === "string" ? node.description : "";
  const words = [text, limits.length > 0 ? `(${limits.join(", ")})` : ""].filter((part) => part !== "");
  return words.length > 0 ? { description: words.join(" ") } : {};
}

const limitWords = [
  ["minLength", "characters at least"],
  ["maxLength", "characters at most"],
  ["minimum", "at least"],
  ["exclusiveMinimum", "more than"],
  ["maximum", "at most"],
  ["exclusiveMaximum", "less than"],
  ["multipleOf", "a multiple of"],
  ["minItems", "items at least"],
  ["maxItems", "items at most"],
] as const;

/**
 * The value without the nulls that stand for left-out members, by the loose schema. A null that the schema itself
 * permits stays. Never throws; what does not fit the schema is left as it is for zod to complain about.
 */
export function withoutNulls(value: unknown, loose: JsonObject): unknown {
  return withoutNullsAt(value, loose, loose);
}

function withoutNullsAt(value: unknown, schema: JsonObject, root: JsonObject): unknown {
  const node = branchFor(value, schema, root);
  if (node === null) return value;
  if (Array.isArray(value)) {
    const { items } = node;
    return isObject(items) ? value.map((item) => withoutNullsAt(item, items, root)) : value;
  }
  if (!isObject(value)) return value;
  const members = membersOf(node);
  const kept = Object.entries(value).flatMap(([name, member]) => {
    const known = Object.hasOwn(members, name) ? members[name] : undefined;
    if (known === undefined) return [[name, member] as const];
    if (member === null && !isRequired(node, name) && !acceptsNull(known, root)) return [];
    return [[name, withoutNullsAt(member, known, root)] as const];
  });
  return Object.fromEntries(kept);
}

/** The branch of a union that the value looks like: the right kind, and the discriminators as they are. */
function branchFor(value: unknown, schema: JsonObject, root: JsonObject): JsonObject | null {
  const node = typeof schema.$ref === "string" ? resolve(schema.$ref, root) : schema;
  if (node === null) return null;
  const branches = unionOf(node);
  if (branches === null) return node;
  const fits = branches.map((branch) => branchFor(value, branch, root));
  return fits.find((branch) => branch !== null && looksLike(value, branch)) ?? null;
}

function looksLike(value: unknown, node: JsonObject): boolean {
  if (Array.isArray(value)) return node.type === "array";
  if (!isObject(value) || node.type !== "object") return false;
  return Object.entries(membersOf(node)).every(
    ([name, member]) => member.const === undefined || value[name] === member.const,
  );
}

function acceptsNull(schema: JsonObject, root: JsonObject): boolean {
  const node = typeof schema.$ref === "string" ? resolve(schema.$ref, root) : schema;
  if (node === null) return false;
  const branches = unionOf(node);
  if (branches !== null) return branches.some((branch) => acceptsNull(branch, root));
  return (
    node.type === "null" || node.const === null || (Array.isArray(node.enum) && node.enum.includes(null))
  );
}

function resolve(reference: string, root: JsonObject): JsonObject | null {
  const name = reference.startsWith("#/$defs/") ? reference.slice("#/$defs/".length) : null;
  const target = name !== null && isObject(root.$defs) ? root.$defs[name] : undefined;
  return isObject(target) ? target : null;
}

/** zod writes a nullable scalar without limits as a list of types. */
function unionOf(node: JsonObject): JsonObject[] | null {
  if (Array.isArray(node.type)) return node.type.map((type): JsonObject => ({ type }));
  const branches = node.anyOf ?? node.oneOf;
  return Array.isArray(branches) ? branches.filter(isObject) : null;
}

const membersOf = (node: JsonObject): Record<string, JsonObject> =>
  isObject(node.properties) ? (node.properties as Record<string, JsonObject>) : {};

const isRequired = (node: JsonObject, name: string): boolean =>
  Array.isArray(node.required) && node.required.includes(name);

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
