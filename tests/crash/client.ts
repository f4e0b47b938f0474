/**
 * The people and the platform's side of delivery into Parley: sends the messages of a story, again and again until each is
 * acknowledged, answers the cards that appear, and writes down what it did and what it was told. It is the client's log.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { JsonObject } from "../../core/json.ts";
import type { Sender } from "../../core/words.ts";
import { messageText } from "./brain.ts";
import type { Order } from "./orders.ts";
import {
  type AnswerPlan,
  type Deciding,
  expiryMs,
  type Sending,
  type Story,
  type StoryCall,
  type StoryMessage,
  type StoryThread,
} from "./words.ts";

const policyOf: Partial<Record<AnswerPlan, string>> = {
  expire: "soon",
  quorum: "two",
  not_requester: "notme",
};
export const requester = "ann";

const card = z.object({
  approvalId: z.string(),
  args: z.looseObject({ id: z.string() }),
  expiresAt: z.string().nullable(),
});
const question = z.object({ questionId: z.string(), text: z.string() });

export interface Client {
  readonly sendings: Sending[];
  readonly decidings: Deciding[];
  /** Plays the story's messages; ends when each is acknowledged or was given up. */
  play(): Promise<void>;
  /** Somebody sees a message of Parley, on its platform or in the console. Safe to call again with the same one. */
  see(anchor: string, kind: string, content: JsonObject): void;
  /** How many people are still about to do something. */
  readonly busy: number;
  stop(): void;
}

export interface ClientParts {
  story: Story;
  ask(order: Order): Promise<unknown>;
  /** Whether the tool of this call id was ever called: what a person who looks finds. */
  happened(callId: string): boolean;
}

export function openClient({ story, ask, happened }: ClientParts): Client {
  const sendings: Sending[] = [];
  const decidings: Deciding[] = [];
  const calls = new Map(
    story.threads.flatMap(({ messages }) =>
      messages.flatMap((each) => each.calls.map((call) => [call.id, call])),
    ),
  );
  const threads = new Map(story.threads.map((thread) => [thread.anchor, thread]));
  const seen = new Set<string>();
  let busy = 0;
  let stopped = false;

  const track = (work: () => Promise<unknown>): void => {
    busy += 1;
    void work().finally(() => {
      busy -= 1;
    });
  };

  /** Sends one copy until it is acknowledged, as a platform would. */
  async function send(thread: StoryThread, sending: Sending, text: string): Promise<void> {
    for (let attempt = 0; attempt < 60 && !stopped; attempt++) {
      try {
        await ask({ do: "accept", event: inbound(thread, sending.label, text) });
        sending.ackedMs ??= Date.now();
        return;
      } catch {
        await sleep(40 + attempt * 20);
      }
    }
  }
  async function deliver(thread: StoryThread, message: StoryMessage): Promise<void> {
    const { label, copies, spaced } = message;
    const sending: Sending = { label, anchor: thread.anchor, atMs: Date.now(), ackedMs: null };
    sendings.push(sending);
    const text = messageText(
      label,
      message.calls.map((call) => ({ ...call, policy: policyFor(call) })),
    );
    const first = send(thread, sending, text);
    if (spaced) await first;
    for (let copy = 1; copy < copies; copy++) {
      if (spaced) await sleep(5 + copy * 3);
      track(() => send(thread, sending, text));
    }
    await first;
  }
  async function playThread(thread: StoryThread): Promise<void> {
    const under: Promise<void>[] = [];
    for (const message of thread.messages) {
      if (!message.early) await Promise.all(under);
      await sleep(message.pauseMs);
      under.push(deliver(thread, message));
    }
    await Promise.all(under);
  }

  async function decide(deciding: Omit<Deciding, "atMs" | "answeredMs" | "outcome">): Promise<Deciding> {
    const { approvalId, verdict, person, args } = deciding;
    const entry: Deciding = { ...deciding, atMs: Date.now(), answeredMs: null, outcome: null };
    decidings.push(entry);
    const sender = senderOf(person);
    try {
      const result = (await ask({
        do: "decide",
        request: { approvalId, verdict, sender, roles: [], reason: null, args },
      })) as { outcome: string };
      entry.outcome = result.outcome;
    } catch {
      // Nobody knows: the process is gone, or the database was.
    }
    entry.answeredMs = Date.now();
    return entry;
  }
  /** Until somebody answers: whoever clicked and heard nothing clicks again. */
  async function insist(deciding: Omit<Deciding, "atMs" | "answeredMs" | "outcome">): Promise<void> {
    for (let attempt = 0; attempt < 40 && !stopped; attempt++) {
      if ((await decide(deciding)).outcome !== null) return;
      await sleep(60 + attempt * 20);
    }
  }

  async function answerCard(content: JsonObject): Promise<void> {
    const { approvalId, args, expiresAt } = card.parse(content);
    const plan = calls.get(args.id)?.answers ?? "approve";
    const of = (person: string, verdict: Deciding["verdict"], changed: JsonObject | null = null) =>
      insist({ approvalId, id: args.id, verdict, person, args: changed });
    const edited = { ...(args as JsonObject), amount: 7 };
    switch (plan) {
      case "approve":
        return of("bob", "approve");
      case "raced":
        await Promise.all(["bob", "cat", "dan", "bob"].map((person) => of(person, "approve")));
        return;
      case "reject":
        return of("bob", "reject");
      case "contested":
        await Promise.all([of("bob", "approve"), of("cat", "reject"), of("dan", "approve")]);
        return;
      case "edit":
        return of("bob", "edit", edited);
      case "edit_raced":
        await Promise.all([of("bob", "edit", edited), of("cat", "approve")]);
        return;
      case "again_later":
        await of("bob", "approve");
        await sleep(150);
        await Promise.all([of("bob", "approve"), of("cat", "approve")]);
        return;
      case "expire":
        await sleep(Math.max(0, Date.parse(expiresAt ?? "") - Date.now()) + expiryMs / 2);
        return of("bob", "approve");
      case "quorum":
        await of("bob", "approve");
        await of("bob", "approve");
        await sleep(60);
        return of("cat", "approve");
      case "not_requester":
        await of(requester, "approve");
        return of("bob", "approve");
      case "ask_back":
        await of("bob", "ask_back");
        await sleep(80);
        return of("bob", "approve");
    }
  }
  async function answerQuestion(anchor: string, content: JsonObject): Promise<void> {
    const { questionId, text } = question.parse(content);
    const thread = threads.get(anchor);
    if (thread === undefined) return;
    const id = /r\d+t\d+m\d+c\d+/.exec(text)?.[0] ?? "";
    const sending: Sending = { label: `q-${questionId}`, anchor, atMs: Date.now(), ackedMs: null };
    await sleep(20);
    await send(thread, sending, happened(id) ? "yes" : "no");
  }

  return {
    sendings,
    decidings,
    play: async () => void (await Promise.all(story.threads.map(playThread))),
    see(anchor, kind, content) {
      const key = String(content.approvalId ?? content.questionId ?? "");
      if (key === "" || seen.has(key)) return;
      seen.add(key);
      if (kind === "approval") track(() => answerCard(content));
      if (kind === "question") track(() => answerQuestion(anchor, content));
    },
    get busy() {
      return busy;
    },
    stop: () => {
      stopped = true;
    },
  };
}

const policyFor = ({ answers }: StoryCall): string | null =>
  answers === null ? null : (policyOf[answers] ?? "ask");

const senderOf = (person: string): Sender => ({
  channel: "web",
  account: "a",
  identity: person,
  name: person,
  kind: "human",
  assurance: "session",
  person,
});

const inbound = ({ platform, anchor }: StoryThread, label: string, text: string) => ({
  kind: "message" as const,
  binding: { channel: platform, account: "a", room: "r", anchor },
  dedupeKey: label,
  messageId: label,
  sender: { ...senderOf(requester), channel: platform },
  text,
  attachments: [],
});
