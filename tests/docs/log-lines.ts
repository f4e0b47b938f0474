/**
 * Finds every log line that the program can write: event names, levels and fields, read from the calls themselves. A name
 * that reaches its call by a constant or a parameter of the same file is followed there.
 */
import { argumentsOf, isNode, lastName, literals, members, type Node, nodesIn } from "./sources.ts";

export interface LogLine {
  event: string;
  levels: string[];
  /** As far as they stand in the call. */
  fields: string[];
}

const levelNames = ["trace", "debug", "info", "warn", "error"];
/** What a log is called: a parameter, a member, or a log that is thinned out. */
const logNames = ["log", "logger", "sparing"];

/**
 * All log lines of one file. Calls that pass on an `event` of another call are left out.
 * @param path names the place of a call whose event cannot be read.
 * @throws {Error} for a log call whose event cannot be found in the file.
 */
export function logLines(tree: Node, path: string): LogLine[] {
  const nodes = [...nodesIn(tree)];
  return nodes.filter(isLogCall).flatMap((call) => linesOf(call, nodes, path));
}

function isLogCall(node: Node): boolean {
  const name = node.type === "CallExpression" ? lastName(node.callee) : undefined;
  return name !== undefined && logNames.includes(name) && !isConsole(node.callee);
}

const isConsole = (callee: unknown): boolean =>
  isNode(callee, "MemberExpression") && ["console", "Math"].includes(lastName(callee.object) ?? "");

/** `log(level, event, fields)`, or `log(event, fields)` where the level is always "info". */
function linesOf(call: Node, nodes: readonly Node[], path: string): LogLine[] {
  const [first, second, third] = argumentsOf(call);
  const given = textsOf(first, nodes);
  const hasLevel = given.length === 0 || given.every((text) => levelNames.includes(text));
  const [event, fields] = hasLevel ? [second, third] : [first, second];
  const events = textsOf(event, nodes);
  if (events.length === 0 && lastName(event) !== "event") {
    throw new Error(`${path}: a log call whose event name is not in this file`);
  }
  const levels = hasLevel ? given : ["info"];
  return events.map((name) => ({ event: name, levels, fields: [...members(fields).keys()] }));
}

/** The literals that an argument stands for. */
function textsOf(argument: unknown, nodes: readonly Node[]): string[] {
  const texts = literals(argument);
  if (texts.length > 0 || !isNode(argument, "Identifier")) return texts;
  const name = lastName(argument);
  return nodes
    .filter((node) => node.type === "VariableDeclarator")
    .flatMap(({ id, init }) =>
      lastName(id) === name ? literals(init) : givenFor(name, { called: lastName(id), init, nodes }),
    );
}

interface Declared {
  called: string | undefined;
  init: unknown;
  nodes: readonly Node[];
}

/** Where `init` is a function with a parameter of that name: what its callers give for it. */
function givenFor(parameter: string | undefined, { called, init, nodes }: Declared): string[] {
  if (!isNode(init, "ArrowFunctionExpression")) return [];
  const position = (init.params as unknown[]).findIndex((each) => lastName(each) === parameter);
  if (position < 0) return [];
  return nodes
    .filter((node) => node.type === "CallExpression" && lastName(node.callee) === called)
    .flatMap((node) => literals(argumentsOf(node)[position]));
}
