/**
 * The one way in for what people write, whatever it came by: ask the access gate, check the text, store it, ring. What was
 * stored is safe whatever crashes after it; a bell that could not be rung is the sweeper's business and no error.
 */
import type { InboundEvent } from "../channels/channel.ts";
import type { HeardKind, Hearing } from "../core/access.ts";
import { errorLine, RefusedError } from "../core/errors.ts";
import type { NewEvent } from "../core/events.ts";
import type { AcceptRequest, AcceptResult, Doorbell, Ids, Live, Log, ThreadLog } from "../core/ports.ts";
import type { RouteFacts } from "../core/routing.ts";
import type { Attachment, Binding, Sender } from "../core/words.ts";

/** May this sender be heard here, with this kind of event? The same question for every kind. */
export type Gate = (kind: HeardKind, sender: Sender, binding: Binding) => Hearing;

export interface IngestDeps {
  readonly log: ThreadLog;
  readonly doorbell: Doorbell;
  readonly live: Live;
  readonly ids: Ids;
  readonly gate: Gate;
  /** The sender with its person filled in, where the identity is known to belong to one. */
  readonly recognize?: (sender: Sender) => Sender;
  /** The agent that takes a new thread. */
  readonly route: (facts: RouteFacts) => string;
  readonly limits: { readonly messageCharacters: number };
  readonly metrics: {
    accepted(channel: string): void;
    deduped(channel: string): void;
    refused(channel: string): void;
  };
  readonly logger: Log;
}

/** A message by the API or the console, whose target the caller names. */
export interface ApiMessage {
  readonly target: { threadId: string } | { binding: Binding; agent: string | null };
  readonly sender: Sender;
  readonly text: string;
  /** Where the answer goes. */
  readonly via: Binding;
  readonly dedupe: AcceptRequest["dedupe"];
}

/** Something else that a person does to a thread. */
export interface ThreadCommand {
  readonly threadId: string;
  readonly sender: Sender;
  readonly binding: Binding;
  readonly event: Extract<NewEvent, { type: "paused" | "resumed" | "cancelled" }>;
}

export interface Ingest {
  /**
   * For channels: acknowledge the platform once this resolves. A sender whom the gate refuses is not an error: the event is
   * dropped, logged and counted. @throws {ParleyError} when nothing was stored.
   */
  accept(event: InboundEvent): Promise<void>;
  /** Safe to repeat with the same dedupe key. @throws {RefusedError} for the gate's no and for text that cannot be taken. */
  message(message: ApiMessage): Promise<AcceptResult>;
  /** @throws {RefusedError} for the gate's no. */
  command(command: ThreadCommand): Promise<AcceptResult>;
}

export function createIngest(deps: IngestDeps): Ingest {
  const store = async (channel: string, request: AcceptRequest): Promise<AcceptResult> => {
    const result = await deps.log.accept(request);
    if (result.outcome === "no_thread") return result;
    deps.metrics[result.outcome === "accepted" ? "accepted" : "deduped"](channel);
    deps.logger("info", "message_accepted", { channel, ...result });
    await wake(deps, result.threadId);
    return result;
  };

  const admit = (kind: HeardKind, sender: Sender, binding: Binding): void => {
    const hearing = deps.gate(kind, sender, binding);
    if (hearing.allowed) return;
    deps.metrics.refused(binding.channel);
    deps.logger("warn", "sender_refused", { channel: binding.channel, kind, reason: hearing.reason });
    throw new RefusedError("forbidden", hearing.reason, { operation: "hear sender" });
  };

  return {
    async accept(event) {
      const { binding } = event;
      const sender = deps.recognize?.(event.sender) ?? event.sender;
      try {
        admit("message", sender, binding);
      } catch (error) {
        if (error instanceof RefusedError) return;
        throw error;
      }
      const text = fitted(event.text, deps.limits.messageCharacters);
      const target = {
        binding,
        agent: deps.route({ binding, sender, text }),
        newThreadId: deps.ids.next(),
      };
      await store(binding.channel, {
        target,
        dedupe: { channel: binding.channel, account: binding.account, key: event.dedupeKey },
        event: messageEvent(deps, { ...event, sender, text, via: binding }),
      });
    },

    async message({ target, sender, via, dedupe, ...message }) {
      const binding = "binding" in target ? target.binding : via;
      admit("message", sender, binding);
      const text = checkedText(message.text, deps.limits.messageCharacters);
      const facts = { messageId: deps.ids.next(), attachments: [], sender, text, via };
      return store(dedupe.channel, {
        target:
          "threadId" in target
            ? target
            : {
                binding,
                agent: target.agent ?? deps.route({ binding, sender, text }),
                newThreadId: deps.ids.next(),
              },
        dedupe,
        event: messageEvent(deps, facts),
      });
    },

    async command({ threadId, sender, binding, event }) {
      admit("command", sender, binding);
      const key = `command:${deps.ids.next()}`;
      const dedupe = { channel: sender.channel, account: sender.account, key };
      const result = await deps.log.accept({ target: { threadId }, dedupe, event });
      if (result.outcome !== "no_thread") await wake(deps, threadId);
      return result;
    },
  };
}

interface MessageFacts {
  messageId: string;
  text: string;
  sender: Sender;
  attachments: Attachment[];
  via: Binding;
}

function messageEvent(deps: IngestDeps, facts: MessageFacts): NewEvent {
  const { messageId, text, sender, attachments, via } = facts;
  const correlationId = deps.ids.next();
  return {
    type: "message_received",
    data: { messageId, text, sender, attachments, via, correlationId },
    actor: { kind: "person", sender },
  };
}

/** Rings a thread, and whoever watches it. Never fails: what is stored is found by the sweeper. */
export async function wake(
  deps: Pick<IngestDeps, "doorbell" | "live" | "logger">,
  threadId: string,
): Promise<void> {
  deps.live.publish({ threadId, kind: "changed" });
  try {
    await deps.doorbell.ringThread(threadId);
  } catch (error) {
    deps.logger("warn", "doorbell_failed", { threadId, error: errorLine(error) });
  }
}

/** Postgres keeps no NUL, and JSON no lone surrogate: what cannot be stored is replaced before anything is decided by it. */
export const storableText = (text: string): string => text.replaceAll("\0", "").toWellFormed();

/** @throws {RefusedError} for text that is empty or too long: an API's caller can be told. */
export function checkedText(text: string, maxCharacters: number): string {
  const clean = storableText(text);
  if (clean.trim() === "") {
    throw new RefusedError("invalid", "A message needs some text.", { operation: "check message" });
  }
  if (clean.length > maxCharacters) {
    throw new RefusedError(
      "too_large",
      `The message has ${clean.length} characters; at most ${maxCharacters} are taken.`,
      { operation: "check message" },
    );
  }
  return clean;
}

/** A platform would only send it again: it is taken as far as it goes, and says for everybody to see that it was cut. */
export function fitted(text: string, maxCharacters: number): string {
  const clean = storableText(text);
  if (clean.length <= maxCharacters) return clean;
  const note = `\n[Cut here: the message had ${clean.length} characters, and at most ${maxCharacters} are taken.]`;
  const room = Math.max(0, maxCharacters - note.length);
  return (
    clean
      .slice(0, room)
      .toWellFormed()
      .replace(/\uFFFD$/, "") + note
  );
}
