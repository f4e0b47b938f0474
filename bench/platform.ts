/**
 * The fake platform: sends messages into spawned processes of Parley and hears their replies. It keeps its own history,
 * by which a benchmark can tell whether anything was lost or came out of order.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ids } from "../gateway/ids.ts";
import type { ActorOptions, Order, Said } from "./actor.ts";
import { openHistory, type Verdict } from "./history.ts";

export interface Platform {
  /** The spawned processes, in the order asked for. */
  readonly actors: readonly ChildProcess[];
  /** Sends one message. Its sender's next may be sent once `accepted` has resolved. */
  send(conversation: string): { accepted: Promise<void>; answered: Promise<void> };
  verdict(): Verdict;
  /** Resident and heap memory of an actor after a garbage collection. */
  memory(actor: number): Promise<{ rssBytes: number; heapBytes: number }>;
  /** Adds a process, or replaces a killed one. */
  join(options: ActorOptions): Promise<number>;
  profile(actor: number, file: string, work: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** How long a reply may take before the platform gives up on it. */
const patienceMs = 60_000;

export async function openPlatform(parts: readonly ActorOptions[]): Promise<Platform> {
  const actors: ChildProcess[] = [];
  const history = openHistory();
  const acknowledge = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  /** Each conversation's waiters: the number of the message that must have been seen. */
  const waiting = new Map<string, { number: number; resolve: () => void }[]>();
  const heard = (said: Said): void => {
    if (said.kind === "accepted") {
      for (const key of said.keys) {
        acknowledge.get(key)?.resolve();
        acknowledge.delete(key);
      }
    }
    if (said.kind === "refused") acknowledge.get(said.key)?.reject(new Error(said.error));
    if (said.kind === "sent") for (const reply of said.replies) settle(reply);
  };
  const settle = (reply: { conversation: string; id: string; text: string; at: number }): void => {
    history.replied(reply.conversation, reply);
    const seen = Number(reply.text.split(",").at(-1));
    const open = waiting.get(reply.conversation) ?? [];
    for (const { number, resolve } of open) if (number <= seen) resolve();
    const left = open.filter(({ number }) => number > seen);
    if (left.length > 0) waiting.set(reply.conversation, left);
    else waiting.delete(reply.conversation);
  };

  let outgoing: { conversation: string; key: string; text: string }[] = [];
  let next = 0;
  const receivers = (): ChildProcess[] => actors.filter((actor) => actor.connected && takes.has(actor));
  const takes = new Set<ChildProcess>();
  const post = (message: { conversation: string; key: string; text: string }): void => {
    if (outgoing.push(message) > 1) return;
    setImmediate(() => {
      const messages = outgoing;
      outgoing = [];
      const all = receivers();
      next += 1;
      tell(all[next % all.length], { kind: "in", messages });
    });
  };

  const platform: Platform = {
    actors,
    send(conversation) {
      const number = history.sent(conversation);
      const key = ids.next();
      const accepted = new Promise<void>((resolve, reject) => acknowledge.set(key, { resolve, reject }));
      const answered = new Promise<void>((resolve) => {
        const open = waiting.get(conversation) ?? [];
        open.push({ number, resolve });
        waiting.set(conversation, open);
      });
      post({ conversation, key, text: `#${number} of ${conversation}` });
      return { accepted, answered: within(answered, `an answer to #${number} of ${conversation}`) };
    },
    verdict: () => history.verdict(),
    async memory(actor) {
      const answer = said(actors[actor], "memory");
      tell(actors[actor], { kind: "memory" });
      return await answer;
    },
    async join(options) {
      const child = fork(join(import.meta.dirname, "actor.ts"), [JSON.stringify(options)], {
        // As bin/parley.mjs has it.
        execArgv: ["--max-semi-space-size=4"],
      });
      await said(child, "ready");
      child.on("message", heard);
      if (options.role !== "worker") takes.add(child);
      return actors.push(child) - 1;
    },
    async profile(actor, file, work) {
      const began = said(actors[actor], "done");
      tell(actors[actor], { kind: "profile", file });
      await began;
      await work();
      const ended = said(actors[actor], "done");
      tell(actors[actor], { kind: "profiled" });
      await ended;
    },
    async close() {
      const live = actors.filter((actor) => actor.exitCode === null && actor.signalCode === null);
      const ended = live.map((actor) => once(actor, "exit"));
      for (const actor of live) actor.disconnect();
      await Promise.all(ended);
    },
  };
  for (const part of parts) await platform.join(part);
  return platform;
}

const tell = (actor: ChildProcess | undefined, order: Order): void => void actor?.send(order);

/** The next message of a kind. */
function said<Kind extends Said["kind"]>(
  actor: ChildProcess | undefined,
  kind: Kind,
): Promise<Extract<Said, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`a process of the benchmark ended with ${code}`));
    const hear = (message: Said): void => {
      if (message.kind !== kind) return;
      actor?.off("message", hear);
      actor?.off("exit", ended);
      resolve(message as Extract<Said, { kind: Kind }>);
    };
    actor?.on("message", hear);
    actor?.once("exit", ended);
  });
}

async function within(work: Promise<void>, what: string): Promise<void> {
  const limit = new AbortController();
  const expired = sleep(patienceMs, undefined, { signal: limit.signal, ref: false }).then(() => {
    throw new Error(`there was no ${what} within ${patienceMs} ms`);
  });
  expired.catch(() => undefined);
  try {
    await Promise.race([work, expired]);
  } finally {
    limit.abort();
  }
}
