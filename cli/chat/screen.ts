/**
 * What a conversation looks like in a terminal. On a terminal the growing text of a reply is shown as it comes, above the
 * prompt; elsewhere only what is committed is printed, so that a script reads whole lines.
 */
import { createInterface, type Interface } from "node:readline";
import { visibleText } from "../../core/approval.ts";
import type { EventOf, ThreadEvent } from "../../core/events.ts";
import type { JsonObject } from "../../core/json.ts";
import { argumentFields, fields, localTime, paint, print, safeLines } from "../terminal.ts";

export interface Screen {
  /** Lines that the person types, until they end the input. */
  readonly lines: AsyncIterable<string>;
  readonly interactive: boolean;
  say(text: string): void;
  partial(agent: string, text: string): void;
  reply(agent: string, text: string): void;
  prompt(): void;
  /** Calls back when the person presses Ctrl-C. */
  onInterrupt(callback: () => void): void;
  close(): void;
}

export function openScreen(): Screen {
  const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const readline = createInterface({
    input: process.stdin,
    ...(interactive ? { output: process.stdout, prompt: paint("bold", "you> ") } : {}),
    terminal: interactive,
  });
  // The iterator gathers lines from the moment it exists; made later, it would miss those that came before.
  const iterator = readline[Symbol.asyncIterator]();
  const lines = { [Symbol.asyncIterator]: () => iterator };
  return { lines, ...(interactive ? terminalScreen(readline) : plainScreen(readline)) };
}

const heading = (agent: string): string => `${paint("bold", visibleText(agent))}: `;

function plainScreen(readline: Interface): Omit<Screen, "lines"> {
  return {
    interactive: false,
    say: print,
    partial: () => {},
    reply: (agent, text) => print(heading(agent) + safeLines(text)),
    prompt: () => {},
    onInterrupt: (callback) => process.once("SIGINT", callback),
    close: () => readline.close(),
  };
}

/** `shown` is what of the current reply is on the screen already; a text that does not go on from it starts anew. */
function terminalScreen(readline: Interface): Omit<Screen, "lines"> {
  let shown = "";
  const clearPrompt = (): void => {
    if (shown === "") process.stdout.write("\r\x1b[K");
  };
  const endPartial = (): void => {
    if (shown !== "") process.stdout.write("\n");
    shown = "";
  };
  const grow = (agent: string, text: string): void => {
    const safe = safeLines(text);
    if (shown !== "" && !safe.startsWith(shown)) endPartial();
    if (shown === "") {
      clearPrompt();
      process.stdout.write(heading(agent));
    }
    process.stdout.write(safe.slice(shown.length));
    shown = safe;
  };
  return {
    interactive: true,
    say(text) {
      endPartial();
      process.stdout.write(`\r\x1b[K${text}\n`);
      readline.prompt(true);
    },
    partial: (agent, text) => {
      if (text !== "") grow(agent, text);
    },
    reply(agent, text) {
      grow(agent, text);
      if (shown === "") process.stdout.write("\n");
      endPartial();
      readline.prompt(true);
    },
    prompt: () => readline.prompt(true),
    onInterrupt: (callback) => readline.once("SIGINT", callback),
    close() {
      endPartial();
      process.stdout.write("\r\x1b[K");
      readline.close();
    },
  };
}

/** An approval card: what is shown is what runs, whole, with everything that hides text made visible. */
export function approvalCard(request: EventOf<"approval_requested">): string {
  const { code, tool, args, digest, policy, expiresAt } = request;
  return [
    paint("bold", `Approval needed (${visibleText(code)})`),
    fields([["tool", visibleText(tool)]], "  "),
    argumentFields(args as JsonObject, "    "),
    fields(
      [
        ["policy", visibleText(policy)],
        ["digest", visibleText(digest.slice(0, 12))],
        ...(expiresAt === null ? [] : ([["expires", localTime(expiresAt)]] as const)),
      ],
      "  ",
    ),
    "  a approve | r REASON reject | e NAME=VALUE edit | b QUESTION ask back",
  ].join("\n");
}

/** The event as a conversation shows it; null for what only a timeline shows. Replies have a way of their own. */
export function conversationLine(event: ThreadEvent): string | null {
  const dim = (text: string): string => paint("dim", `* ${text}`);
  switch (event.type) {
    case "message_received":
      return `${paint("bold", visibleText(event.data.sender.name || event.data.sender.identity))}: ${safeLines(event.data.text)}`;
    case "approval_requested":
      return approvalCard(event.data);
    case "approval_decided":
      return dim(decisionText(event.data));
    case "approval_expired":
      return dim(`The approval expired (${event.data.consequence}).`);
    case "approval_withdrawn":
      return dim(`The approval was withdrawn: ${visibleText(event.data.reason)}`);
    case "tool_failed":
      return dim(`It failed: ${visibleText(event.data.error)}`);
    case "tool_outcome_unknown":
      return dim(`Nobody knows whether it happened: ${visibleText(event.data.error)}`);
    case "model_failed":
      return dim(`The model failed: ${visibleText(event.data.error)}`);
    case "handed_off":
      return dim(`Handed over to ${visibleText(event.data.to)}: ${visibleText(event.data.reason)}`);
    case "run_ended":
      return ["step_limit", "failed", "cancelled"].includes(event.data.outcome)
        ? dim(`The run ended: ${event.data.outcome.replace("_", " ")}.`)
        : null;
    case "paused":
    case "cancelled":
      return dim(`The thread is ${event.type}: ${visibleText(event.data.reason)}`);
    case "resumed":
      return dim("The thread goes on.");
    case "question_asked":
      return questionText(event.data);
    default:
      return null;
  }
}

function questionText({ text, format }: EventOf<"question_asked">): string {
  const choices =
    format.kind === "choices" ? format.choices.map((choice) => `  - ${visibleText(choice)}`) : [];
  return [`${paint("bold", "question")}: ${safeLines(text)}`, ...choices].join("\n");
}

const verdicts = {
  approve: "Approved",
  reject: "Rejected",
  edit: "Edited and approved",
  ask_back: "Asked back",
};

function decisionText({ verdict, sender, reason, args, final }: EventOf<"approval_decided">): string {
  const by = visibleText(sender.name || sender.person || sender.identity);
  const why = reason === null || reason === "" ? "" : `: ${visibleText(reason)}`;
  const more = final || verdict === "ask_back" ? "" : " (more people have to agree)";
  const edited = args === null ? "" : `\n${argumentFields(args, "    ")}`;
  return `${verdicts[verdict]} by ${by}${why}${more}${edited}`;
}
