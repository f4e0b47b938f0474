/**
 * `parley chat`: a conversation in the terminal. With a terminal it is a dialogue; with piped input each line is sent when
 * the agent has dealt with the one before, and the command ends when the last one is dealt with.
 */
import type { Command } from "commander";
import { visibleText } from "../../core/approval.ts";
import type { ThreadEvent } from "../../core/events.ts";
import { statusSchema } from "../answers.ts";
import type { ApiClient } from "../api-client.ts";
import { connect, examples, type RemoteOptions, remote } from "../command.ts";
import type { Happening } from "../event-stream.ts";
import { CommandError, exitCodes } from "../exit.ts";
import { wholeNumber } from "../options.ts";
import { argumentFields, paint, print, printError } from "../terminal.ts";
import { Conversation } from "./conversation.ts";
import { type Line, readLine } from "./line.ts";
import { conversationLine, openScreen, type Screen } from "./screen.ts";

interface ChatOptions extends RemoteOptions {
  agent?: string;
  thread?: string;
  timeout: number;
}

const help = [
  "Type a message and press Enter. While an approval waits:",
  "  a            approve exactly what the card shows     (a CODE when several wait)",
  "  r REASON     reject; the agent answers to the reason",
  "  e NAME=VALUE approve with other arguments            (or e with a JSON object)",
  "  b QUESTION   ask back before deciding",
  "Ctrl-D or /quit leaves; the conversation goes on without you.",
].join("\n");

export function addChat(program: Command): void {
  const chat = remote(program.command("chat").description("talk with an agent in the terminal"))
    .option("--agent <name>", "who answers (default: by the routes of parley.yaml)")
    .option("--thread <id>", "go on with a thread")
    .option(
      "--timeout <seconds>",
      "longest wait for each line when input is piped",
      wholeNumber(1, 86_400),
      600,
    );
  chat.addHelpText("after", `\n${help}`);
  examples(chat, ["chat", "chat --agent support", "chat --thread 0198c2f0-…"]).addHelpText(
    "after",
    '  $ printf "deploy backend v1.4.2 to production\\na\\n" | parley chat',
  );
  chat.action(run);
}

async function run(options: ChatOptions): Promise<void> {
  const api = connect(options);
  const screen = openScreen();
  let conversation: Conversation | undefined;
  try {
    if (screen.interactive) await greet(api, options);
    const show = options.json === true ? showJson : showTo(screen, () => conversation?.agent ?? "agent");
    conversation = await Conversation.open({
      api,
      agent: options.agent,
      threadId: options.thread,
      onHappening: show,
    });
    await (screen.interactive
      ? dialogue(conversation, screen)
      : script(conversation, screen, options.timeout * 1_000));
  } finally {
    screen.close();
    await conversation?.close();
  }
  if (screen.interactive && conversation.threadId !== undefined) {
    print(paint("dim", `To go on: parley chat --thread ${conversation.threadId}`));
  }
}

async function greet(api: ApiClient, options: ChatOptions): Promise<void> {
  const { model } = await api.get("/v1/status", statusSchema);
  const known = model.offline
    ? "no model key is set: an offline stand-in plays the model"
    : `model ${visibleText(model.name)}`;
  const who = options.agent === undefined ? "Parley" : visibleText(options.agent);
  print(`${paint("bold", who)} at ${api.url} (${known}). /help explains, Ctrl-D leaves.`);
}

const showJson = (happening: Happening): void => {
  if (happening.kind === "event") print(JSON.stringify(happening.event));
};

const showTo =
  (screen: Screen, agent: () => string) =>
  (happening: Happening, own: boolean): void => {
    if (happening.kind === "partial") screen.partial(agent(), happening.text);
    else if (happening.kind === "event") showEvent(screen, agent(), { event: happening.event, own });
    else
      tell(screen, happening.kind === "lost" ? "The connection is lost; trying again." : "Connected again.");
  };

function showEvent(
  screen: Screen,
  agent: string,
  { event, own }: { event: ThreadEvent; own: boolean },
): void {
  if (event.type === "reply_committed") {
    screen.reply(agent, event.data.text);
    return;
  }
  const line = own ? null : conversationLine(event);
  if (line !== null) screen.say(line);
}

/** About the chat itself: beside the conversation, so that a script's output has the conversation only. */
function tell(screen: Screen, text: string): void {
  if (screen.interactive) screen.say(paint("dim", `* ${text}`));
  else printError(text);
}

async function dialogue(conversation: Conversation, screen: Screen): Promise<void> {
  screen.onInterrupt(() => screen.close());
  const typing = async (): Promise<void> => {
    screen.prompt();
    for await (const line of screen.lines) {
      if (!(await obeyOrTell(line, conversation, screen))) return;
      screen.prompt();
    }
  };
  await Promise.race([typing(), conversation.failed]);
}

/** A refusal (somebody else was faster, the message is too long) does not end a dialogue. */
async function obeyOrTell(line: string, conversation: Conversation, screen: Screen): Promise<boolean> {
  try {
    return await obey(readLine(line, conversation.waiting), conversation, screen);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    screen.say(paint("red", error.message));
    return true;
  }
}

async function script(conversation: Conversation, screen: Screen, timeoutMs: number): Promise<void> {
  screen.onInterrupt(() => {
    screen.close();
    void conversation.close();
  });
  await settle(conversation, timeoutMs);
  for await (const line of screen.lines) {
    if (!(await obey(readLine(line, conversation.waiting), conversation, screen))) break;
    await settle(conversation, timeoutMs);
  }
}

async function settle(conversation: Conversation, timeoutMs: number): Promise<void> {
  if (conversation.threadId === undefined || (await conversation.settled(timeoutMs)) || conversation.closed)
    return;
  throw new CommandError(
    exitCodes.failed,
    `The agent is still working after ${timeoutMs / 1_000} s; the thread is ${conversation.threadId}.`,
  );
}

/** False when the person wants to leave. */
async function obey(line: Line, conversation: Conversation, screen: Screen): Promise<boolean> {
  switch (line.kind) {
    case "nothing":
      return true;
    case "quit":
      return false;
    case "help":
      screen.say(help);
      return true;
    case "wrong":
      return refuse(line.advice, screen);
    case "message":
      await conversation.send(line.text);
      return true;
    case "decide": {
      const { kind: _, approval, ...body } = line;
      if (body.args !== undefined) screen.say(`Approving with:\n${argumentFields(body.args, "    ")}`);
      await conversation.decide(approval.approvalId, body);
      return true;
    }
  }
}

/** At a terminal the person tries again; in a script the rest would be typed into the wrong situation. */
function refuse(advice: string, screen: Screen): boolean {
  if (!screen.interactive) throw new CommandError(exitCodes.usage, advice);
  screen.say(paint("yellow", advice));
  return true;
}
