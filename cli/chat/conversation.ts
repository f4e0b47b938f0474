/**
 * One conversation over the API: sends lines, follows the thread's log and folds it, so that it knows what waits and when
 * the agent is done. Repeating a send is harmless: its idempotency key stays the same.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ThreadEvent } from "../../core/events.ts";
import { applyEvent } from "../../core/fold.ts";
import { emptyThread, type ThreadState, threadStatus } from "../../core/thread.ts";
import type { ApiClient } from "../api-client.ts";
import { type DecisionBody, postDecision } from "../approvals.ts";
import { followThread, type Happening } from "../event-stream.ts";
import { CommandError, exitCodes } from "../exit.ts";
import { threadPath } from "../threads.ts";
import type { Waiting } from "./line.ts";

const maxSendAttempts = 5;
const createdSchema = z.looseObject({ id: z.string() });

export interface ConversationOptions {
  api: ApiClient;
  agent: string | undefined;
  /** Continues this thread; undefined begins a new one with the first message. */
  threadId: string | undefined;
  onHappening(happening: Happening, own: boolean): void;
}

export class Conversation {
  readonly #options: ConversationOptions;
  readonly #stop = new AbortController();
  readonly #unheard: string[] = [];
  #threadId: string | undefined;
  #state: ThreadState = emptyThread;
  #codes = new Map<string, string>();
  #following: Promise<void> | undefined;
  /** What was in the log when we came; echoes of what is typed here come after it. */
  #joinedAt = 0;
  readonly #failure = Promise.withResolvers<never>();
  #wake: () => void = () => {};

  private constructor(options: ConversationOptions) {
    this.#options = options;
    // Whoever waits for it hears of it; until then it is no unhandled rejection.
    this.#failure.promise.catch(() => {});
  }

  /** @throws {CommandError} when the thread to go on with does not exist, or no server answers. */
  static async open(options: ConversationOptions): Promise<Conversation> {
    const conversation = new Conversation(options);
    if (options.threadId !== undefined) {
      const { seq } = await options.api.get(threadPath(options.threadId), z.looseObject({ seq: z.number() }));
      conversation.#joinedAt = seq;
      conversation.#follow(options.threadId);
    }
    return conversation;
  }

  /** Rejects when the thread cannot be followed any more; never resolves. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  get closed(): boolean {
    return this.#stop.signal.aborted;
  }

  get threadId(): string | undefined {
    return this.#threadId;
  }

  get agent(): string {
    return this.#state.agent || "agent";
  }

  /** What waits for a decision here, oldest first. */
  get waiting(): Waiting[] {
    return this.#state.calls.flatMap(({ status, approvalId, tool, args }) =>
      status === "awaiting" && approvalId !== null
        ? [{ approvalId, tool, args, code: this.#codes.get(approvalId) ?? "" }]
        : [],
    );
  }

  /** @throws {CommandError} when the server refuses, or stays away. */
  async send(text: string): Promise<void> {
    const { api, agent } = this.#options;
    const idempotencyKey = randomUUID();
    this.#unheard.push(text);
    if (this.#threadId !== undefined) {
      const path = threadPath(this.#threadId, "/messages");
      await retried(() => api.post(path, { text, idempotencyKey }, z.looseObject({})), this.#stop.signal);
      return;
    }
    const body = { ...(agent === undefined ? {} : { agent }), input: text, idempotencyKey };
    const thread = await retried(() => api.post("/v1/threads", body, createdSchema), this.#stop.signal);
    this.#follow(thread.id);
  }

  /** Safe to repeat: an approval is decided once, and the server says who was first. */
  async decide(approvalId: string, body: DecisionBody): Promise<void> {
    await postDecision(this.#options.api, approvalId, body);
    const decided = (): boolean =>
      body.verdict === "ask_back" || !this.waiting.some((each) => each.approvalId === approvalId);
    await this.#until(decided, 5_000);
  }

  /**
   * Resolves when the agent has nothing to do at the moment: it is done, or waits for somebody.
   * @returns false when that took longer than `timeoutMs`.
   * @throws what ended the following of the thread.
   */
  async settled(timeoutMs: number): Promise<boolean> {
    const calm = (): boolean =>
      this.#state.seq >= this.#joinedAt &&
      this.#unheard.length === 0 &&
      threadStatus(this.#state) !== "running";
    return this.#until(calm, timeoutMs);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#following;
  }

  #follow(threadId: string): void {
    this.#threadId = threadId;
    this.#following = this.#read(threadId).catch((error: unknown) => this.#failure.reject(error));
  }

  async #read(threadId: string): Promise<void> {
    const { api, onHappening } = this.#options;
    for await (const happening of followThread(api, { threadId, afterSeq: 0, signal: this.#stop.signal })) {
      const own = happening.kind === "event" && this.#take(happening.event);
      onHappening(happening, own);
      this.#wake();
    }
  }

  /** True for the echo of what was typed here. */
  #take(event: ThreadEvent): boolean {
    this.#state = applyEvent(this.#state, event);
    if (event.type === "approval_requested") this.#codes.set(event.data.approvalId, event.data.code);
    if (event.type !== "message_received" || event.seq <= this.#joinedAt) return false;
    const index = this.#unheard.indexOf(event.data.text.trim());
    if (index >= 0) this.#unheard.splice(index, 1);
    return index >= 0;
  }

  /** False when the time is over or the conversation is closed. */
  async #until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const timeout = new AbortController();
    const late = sleep(timeoutMs, "late" as const, { signal: timeout.signal }).catch(() => "late" as const);
    try {
      while (!condition() && !this.closed) {
        const woken = new Promise<"woken">((resolve) => {
          this.#wake = () => resolve("woken");
        });
        if ((await Promise.race([woken, late, this.failed])) === "late") break;
      }
      return condition();
    } finally {
      timeout.abort();
    }
  }
}

/** Repeats while the server is away, with the same idempotency key. */
async function retried<T>(send: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      const away = error instanceof CommandError && error.code === exitCodes.unreachable;
      if (!away || attempt >= maxSendAttempts || signal.aborted) throw error;
      await sleep(200 * 2 ** attempt, undefined, { signal }).catch(() => {});
    }
  }
}
