/**
 * What a typed line means. Pure. A bare letter decides only while an approval waits, and `a` followed by anything but a
 * code is a message: "a question: ..." must never approve something.
 */
import type { JsonObject } from "../../core/json.ts";
import { jsonObjectSchema } from "../../core/json.ts";
import { asJson, readAssignment } from "../options.ts";

/** An approval that waits in this thread. */
export interface Waiting {
  approvalId: string;
  code: string;
  tool: string;
  args: JsonObject;
}

export type Line =
  | { kind: "nothing" }
  | { kind: "quit" }
  | { kind: "help" }
  | { kind: "message"; text: string }
  | {
      kind: "decide";
      approval: Waiting;
      verdict: "approve" | "reject" | "edit" | "ask_back";
      reason?: string;
      args?: JsonObject;
    }
  | { kind: "wrong"; advice: string };

const verdictOf = {
  a: "approve",
  approve: "approve",
  r: "reject",
  reject: "reject",
  e: "edit",
  edit: "edit",
  b: "ask_back",
  ask: "ask_back",
} as const;
type Word = keyof typeof verdictOf;

export function readLine(line: string, waiting: readonly Waiting[]): Line {
  const text = line.trim();
  if (text === "") return { kind: "nothing" };
  if (/^\/(quit|exit|q)$/.test(text)) return { kind: "quit" };
  if (/^\/(help|\?)$/.test(text)) return { kind: "help" };
  const [, slash = "", first = "", rest = ""] = /^(\/?)(\S+)\s*(.*)$/s.exec(text) ?? [];
  const word = first.toLowerCase();
  if (!isWord(word) || (word.length > 1 && slash === "")) return { kind: "message", text };
  if (waiting.length === 0) {
    return slash === "" ? { kind: "message", text } : { kind: "wrong", advice: "No approval waits here." };
  }
  const { approval, remainder } = chooseApproval(rest.trim(), waiting);
  const verdict = verdictOf[word];
  if (verdict === "approve" && remainder !== "") {
    return slash === "" ? { kind: "message", text } : { kind: "wrong", advice: "Type a, or a and the code." };
  }
  if (approval === undefined) {
    const codes = waiting.map(({ code }) => code).join(", ");
    return { kind: "wrong", advice: `Several approvals wait (${codes}): type the code after the letter.` };
  }
  return decision(verdict, approval, remainder);
}

const isWord = (word: string): word is Word => Object.hasOwn(verdictOf, word);

/** The approval that is named by its code, or the only one. */
function chooseApproval(
  rest: string,
  waiting: readonly Waiting[],
): { approval: Waiting | undefined; remainder: string } {
  const [first = ""] = rest.split(/\s/, 1);
  const named = waiting.filter(({ code }) => code === first.toUpperCase());
  if (named.length === 1) return { approval: named[0], remainder: rest.slice(first.length).trim() };
  return { approval: waiting.length === 1 ? waiting[0] : undefined, remainder: rest };
}

function decision(verdict: (typeof verdictOf)[Word], approval: Waiting, rest: string): Line {
  switch (verdict) {
    case "approve":
      return { kind: "decide", approval, verdict };
    case "reject":
      if (rest === "") return { kind: "wrong", advice: "Say why: r and the reason." };
      return { kind: "decide", approval, verdict, reason: rest };
    case "ask_back":
      if (rest === "") return { kind: "wrong", advice: "Say what to ask: b and the question." };
      return { kind: "decide", approval, verdict, reason: rest };
    case "edit": {
      const change = readChange(rest);
      if (change === null)
        return { kind: "wrong", advice: "Say what to change: e name=value, or e with a JSON object." };
      return { kind: "decide", approval, verdict, args: { ...approval.args, ...change } };
    }
  }
}

/** A JSON object, or `name=value` words; a single one may have spaces in its value. */
function readChange(text: string): JsonObject | null {
  const json = jsonObjectSchema.safeParse(asJson(text));
  if (json.success) return json.data;
  const words = text.split(/\s+/).map(readAssignment);
  if (words.every((word) => word !== null)) return Object.assign({}, ...words) as JsonObject;
  return readAssignment(text);
}
