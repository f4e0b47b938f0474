/**
 * The access gate: may this sender be heard at all? One pure function for every kind of event alike (a message, an edit, a
 * button, a decision), so that no kind of event is a way around it. DESIGN section 4, promise 12.
 */
import type { Binding, Sender } from "./words.ts";

/** Whom a rule means: a person, or an identity on a channel; `account` null means any. `*` stands for any characters. */
export type SenderPattern =
  | { person: string }
  | { channel: string; account: string | null; identity: string };

/** What is left out matches everything. The first rule that matches decides. */
export interface AccessRule {
  readonly channel?: string | undefined;
  readonly account?: string | undefined;
  readonly room?: string | undefined;
  readonly kinds?: readonly ("human" | "guest" | "external" | "bot")[] | undefined;
  readonly senders?: readonly SenderPattern[] | undefined;
  readonly allow: boolean;
}

/** What somebody does when they want to be heard. It words the refusal; it never changes the outcome. */
export type HeardKind = "message" | "edit" | "command" | "decision" | "reaction";

export type Hearing = { allowed: true } | { allowed: false; reason: string };

/**
 * Without a rule humans are heard; guests, externals and bots are not. Parley's own echoes and automatic mail are never
 * heard, whatever the rules say: bots must not loop. The reason can be shown to the sender.
 */
export function hears(
  rules: readonly AccessRule[],
  kind: HeardKind,
  sender: Sender,
  binding: Binding,
): Hearing {
  if (sender.kind === "self") return refused("Parley does not listen to itself.");
  if (sender.kind === "automatic") return refused("Automatic messages are not listened to.");
  const rule = rules.find((each) => ruleMatches(each, sender, binding));
  if (rule?.allow ?? sender.kind === "human") return { allowed: true };
  if (rule !== undefined) return refused(`A rule of this Parley does not admit your ${kind} here.`);
  return refused(`This Parley does not admit a ${kind} from ${withArticle[sender.kind]} here.`);
}

function ruleMatches(rule: AccessRule, sender: Sender, binding: Binding): boolean {
  if (rule.channel !== undefined && rule.channel !== binding.channel) return false;
  if (rule.account !== undefined && rule.account !== binding.account) return false;
  if (rule.room !== undefined && !matchesText(rule.room, binding.room)) return false;
  if (rule.kinds !== undefined && !rule.kinds.some((kind) => kind === sender.kind)) return false;
  return rule.senders === undefined || rule.senders.some((pattern) => senderMatches(pattern, sender));
}

export function senderMatches(pattern: SenderPattern, sender: Sender): boolean {
  if ("person" in pattern) return sender.person !== undefined && matchesText(pattern.person, sender.person);
  if (pattern.channel !== sender.channel) return false;
  if (pattern.account !== null && !matchesText(pattern.account, sender.account)) return false;
  return matchesText(pattern.identity, sender.identity);
}

/** Compares without regard to case (mail addresses have none); `*` in the pattern stands for any characters. */
export function matchesText(pattern: string, text: string): boolean {
  const pieces = pattern.toLowerCase().split("*");
  const subject = text.toLowerCase();
  const first = pieces[0] ?? "";
  if (pieces.length === 1) return subject === first;
  const last = pieces.at(-1) ?? "";
  if (subject.length < first.length + last.length) return false;
  if (!subject.startsWith(first) || !subject.endsWith(last)) return false;
  return holdsInOrder(subject.slice(first.length, subject.length - last.length), pieces.slice(1, -1));
}

function holdsInOrder(text: string, pieces: readonly string[]): boolean {
  let from = 0;
  for (const piece of pieces) {
    const at = text.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return true;
}

const withArticle = { human: "a person", guest: "a guest", external: "an outside account", bot: "a bot" };

const refused = (reason: string): Hearing => ({ allowed: false, reason });
