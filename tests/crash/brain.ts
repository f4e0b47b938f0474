/**
 * What the scripted model answers: a pure function of the prompt alone, so that a second worker, asked the same, says
 * the same. Its replies name the messages they answer ("re: m1 m2"), which is how the checker knows them again.
 */
import type { JsonObject } from "../../core/json.ts";

interface Item {
  tag: string;
  id: string | null;
  outcome: string;
  status: string;
  text: string;
}

interface WantedCall {
  id: string;
  tool: string;
  policy: string | null;
}

/** "r1t0m0 | charge r1t0m0c0 ask": a message as the client writes it. */
export const messageText = (label: string, calls: readonly WantedCall[]): string =>
  [label, ...calls.map(({ tool, id, policy }) => `${tool} ${id} ${policy ?? "-"}`)].join(" | ");

const wantedCalls = (text: string): WantedCall[] =>
  text
    .split(" | ")
    .slice(1)
    .map((part) => {
      const [tool = "", id = "", policy = "-"] = part.split(" ");
      return { tool, id, policy: policy === "-" ? null : policy };
    });

function itemsOf(prompt: string): Item[] {
  const pattern = /<(message|your_reply|tool_result|tool_error|approval|open_call)( [^>]*)?>([^<]*)<\/\1>/g;
  return [...prompt.matchAll(pattern)].map(([, tag = "", attributes = "", text = ""]) => ({
    tag,
    text,
    id: /id&quot;:&quot;(\w+)/.exec(attributes)?.[1] ?? null,
    outcome: /outcome="(\w+)"/.exec(attributes)?.[1] ?? "",
    status: /status="(\w+)"/.exec(attributes)?.[1] ?? "",
  }));
}

/** Labels that no reply has named yet, once for each time that the prompt shows them. */
function unanswered(items: readonly Item[]): { label: string; text: string }[] {
  let settled = 0;
  const open: { label: string; text: string }[] = [];
  for (const { tag, text } of items) {
    if (tag === "message") {
      const plain = text === "yes" || text === "no";
      if (plain) settled += 1;
      open.push({ label: plain ? `y${settled}` : (text.split(" | ")[0] ?? ""), text });
    }
    if (tag !== "your_reply" || !text.startsWith("re:")) continue;
    for (const label of text.slice(3).trim().split(" ")) {
      const at = open.findIndex((message) => message.label === label);
      if (at >= 0) open.splice(at, 1);
    }
  }
  return open;
}

const step = (intent: string, body: JsonObject): JsonObject => ({
  step: { intent, reasoning: "as told", confidence: 1, ...body },
});

/** The thread that a prompt is about. */
export const anchorOf = (prompt: string): string => /r\d+t\d+/.exec(prompt)?.[0] ?? "";

export function answerTo(prompt: string): JsonObject {
  const items = itemsOf(prompt);
  const open = unanswered(items);
  if (open.length === 0) return step("finish", { text: null });
  const reply = step("reply", { text: `re: ${open.map(({ label }) => label).join(" ")}` });
  for (const { text } of open) {
    for (const call of wantedCalls(text)) {
      // What was chosen but overtaken by a newer message is chosen again.
      const about = items.filter(({ id, status }) => id === call.id && status !== "chosen");
      if (about.some(({ tag }) => tag === "tool_result")) continue;
      if (about.length > 0) return reply;
      return step(call.tool, { args: { id: call.id, amount: 1, policy: call.policy } });
    }
  }
  return reply;
}
