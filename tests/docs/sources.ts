/** The program's own sources as syntax trees, for tests that compare documents with the code. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "@swc/core";

export const root = join(import.meta.dirname, "../..");

/** Folders whose code runs in a user's process. */
export const programFolders = ["core", "store", "queue", "channels", "agents", "gateway", "cli"];

/** A node of any kind; what is in it depends on `type`. */
export interface Node {
  type: string;
  [member: string]: unknown;
}

/** Paths below the repository's root. */
export function sourceFiles(folders: readonly string[] = programFolders): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => join(folder, path)),
  );
}

export function parseSource(source: string): Node {
  return parseSync(source, { syntax: "typescript", target: "es2024" }) as unknown as Node;
}

export const parseFile = (path: string): Node => parseSource(readFileSync(join(root, path), "utf8"));

/** Every node below this one, itself included. */
export function* nodesIn(value: unknown): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if ("type" in value && typeof value.type === "string") yield value as Node;
  for (const member of Object.values(value)) yield* nodesIn(member);
}

export const isNode = (value: unknown, type: string): value is Node =>
  typeof value === "object" && value !== null && "type" in value && value.type === type;

/** The name that a call or a member expression ends in. */
export function lastName(node: unknown): string | undefined {
  if (isNode(node, "Identifier")) return String(node.value);
  return isNode(node, "MemberExpression") ? lastName(node.property) : undefined;
}

/** A call's arguments. */
export const argumentsOf = (call: Node): Node[] =>
  ((call.arguments ?? []) as { expression: Node }[]).map(({ expression }) => expression);

/** The texts that an expression can have, as far as they stand there: a literal, or both sides of a choice. */
export function literals(node: unknown): string[] {
  if (isNode(node, "StringLiteral")) return [String(node.value)];
  if (isNode(node, "ParenthesisExpression")) return literals(node.expression);
  return isNode(node, "ConditionalExpression")
    ? [...literals(node.consequent), ...literals(node.alternate)]
    : [];
}

/** Names and values of an object literal's members; spread members are left out. */
export function members(node: unknown): Map<string, unknown> {
  const found = new Map<string, unknown>();
  if (!isNode(node, "ObjectExpression")) return found;
  for (const property of node.properties as Node[]) {
    if (property.type === "Identifier") found.set(String(property.value), property);
    else if (property.type === "KeyValueProperty") found.set(lastKey(property.key), property.value);
  }
  return found;
}

const lastKey = (key: unknown): string =>
  isNode(key, "StringLiteral") ? String(key.value) : (lastName(key) ?? "");
