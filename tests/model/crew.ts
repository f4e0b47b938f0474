/**
 * The workers of a sequence: the real loop, each with a wire to the store, the model and the tools that the test can delay, cut and
 * hold. Nothing passes a wire before the scheduler lets it. A worker that is dead or frozen hears no answer, but what
 * it has sent still arrives.
 */
import type fc from "fast-check";
import { z } from "zod";
import { type Agent, defineTool, type Tool } from "../../agents/agent.ts";
import { runThread } from "../../agents/runtime/loop.ts";
import type { LoopParts } from "../../agents/runtime/parts.ts";
import type { Prompts } from "../../agents/runtime/prompts.ts";
import { type Policy, policySchema } from "../../core/approval.ts";
import { ModelError, ParleyError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import type { ThreadLog } from "../../core/ports.ts";
import type { Effect } from "../../core/words.ts";
import type { Journal } from "./journal.ts";
import type { ReferenceStore } from "./reference-log.ts";

export const leaseTtlMs = 30_000;
const slots = 4;

/** What the connection does to the next call: it never arrives, or its answer is lost. */
export type Fault = "refused" | "lost";

/** What a model says next. */
export type Answer = { step: JsonObject } | { trouble: "server_error" | "refusal" };

export interface Worker {
  readonly owner: string;
  readonly stop: AbortController;
  readonly faults: Fault[];
  dead: boolean;
  /** Set while it is frozen. */
  frozen: PromiseWithResolvers<void> | null;
  running: Promise<void> | null;
}

/** Calls of all workers of one sequence: a hundred or two are usual, as many as this mean that one spins. */
const maxCalls = 800;

const never = new Promise<never>(() => {});

/** Resolves when the worker may go on: at once, once it is thawed, or never. */
async function awake(worker: Worker): Promise<void> {
  while (worker.frozen !== null && !worker.dead) await worker.frozen.promise;
  if (worker.dead) await never;
}

export interface CrewOptions {
  scheduler: fc.Scheduler;
  store: ReferenceStore;
  journal: Journal;
  answers: readonly Answer[];
  nowMs: () => number;
}

export interface Crew {
  readonly workers: readonly (Worker | null)[];
  /** A bell rings at this place: whoever works there takes the thread, a new worker if the last one is dead. */
  ring(place: number, threadId: string): void;
}

const effectOf: Record<string, Effect> = {
  look: "read",
  look_again: "read",
  set: "idempotent",
  charge: "keyed",
  launch: "once",
};
export const toolNames = Object.keys(effectOf);
export const effectOfTool = (tool: string): Effect => effectOf[tool] ?? "once";

const input = z.object({ id: z.string(), fails: z.boolean().nullish(), policy: z.string().nullish() });

type Hand = (tool: string, args: JsonObject, context: Parameters<Tool["run"]>[1]) => Promise<null>;

/** Who runs the tools of an agent at present. Agents outlive sequences: the form of their steps takes long to build. */
const hands: (Hand | null)[] = Array.from({ length: slots }, () => null);

const toolAt = (place: number, name: string): Tool =>
  defineTool({
    name,
    description: name,
    input,
    effect: effectOfTool(name),
    approval: (args) => args.policy ?? null,
    subject: (args) => `${name} ${args.id}`,
    timeoutMs: 60_000,
    run: (args, context) => hands[place]?.(name, args as JsonObject, context) ?? never,
  });

const limits = { maxSteps: 6, contextTokens: 16_000, maxOutputTokens: 500, modelTimeoutMs: 60_000 };
const agents = Array.from(
  { length: slots },
  (_, place): Agent => ({
    name: "tester",
    description: "For tests.",
    tools: toolNames.map((name) => toolAt(place, name)),
    handoffTo: ["person"],
    promptVariables: () => ({}),
    prefetch: [],
    offline: null,
    limits,
  }),
);

const prompt = { version: "v1", hash: "h", text: "You are tester." };
const prompts: Prompts = {
  versions: () => [],
  forThread: () => prompt,
  exactly: () => prompt,
  check: () => [],
};

const rules: Record<string, Partial<Policy>> = {
  one: {},
  two: { quorum: 2 },
  soon: { expiresAfterMs: 60_000, atExpiry: "deny" },
  patient: { expiresAfterMs: 60_000, atExpiry: "wait" },
  others: { notRequester: true },
};
export const policyNames = Object.keys(rules);
const policies = new Map(policyNames.map((name) => [name, policySchema.parse({ name, ...rules[name] })]));

const cut = (): ParleyError =>
  new ParleyError("the connection broke", { operation: "run a statement", publicText: "Try again." });

export function crew(options: CrewOptions): Crew {
  const { scheduler, store, journal, answers, nowMs } = options;
  const workers: (Worker | null)[] = Array.from({ length: slots }, () => null);
  let asked = 0;
  let calls = 0;
  let ids = 0;
  const nextId = (): string => `id-${++ids}`;

  async function wire<T>(worker: Worker, label: string, arrive: () => Promise<T>): Promise<T> {
    if (++calls === maxCalls) journal.broken("comes to rest", `${worker.owner} spins at ${label}`);
    if (calls >= maxCalls) await never;
    await awake(worker);
    await scheduler.schedule(Promise.resolve(), `${worker.owner} ${label}`);
    const fault = label.startsWith("log.") ? worker.faults.shift() : undefined;
    const answer = fault === "refused" ? Promise.reject(cut()) : arrive();
    const heard = fault === "lost" ? answer.then(() => Promise.reject(cut())) : answer;
    const [outcome] = await Promise.allSettled([heard]);
    await awake(worker);
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  }

  function logOf(worker: Worker): ThreadLog {
    const log = journal.watching(store.log);
    const wired = Object.entries(log).map(([name, call]) => [
      name,
      (...args: unknown[]) =>
        wire(worker, `log.${name}`, () => (call as (...given: unknown[]) => Promise<unknown>)(...args)),
    ]);
    return Object.fromEntries(wired) as ThreadLog;
  }

  function partsOf(worker: Worker, place: number): LoopParts {
    const agent = agents[place] as Agent;
    return {
      log: logOf(worker),
      doorbell: {
        ringThread: async () => undefined,
        ringDelivery: async () => undefined,
        ringTimer: async () => undefined,
      },
      live: { publish: () => undefined, subscribe: () => () => undefined },
      ids: { next: nextId, randomBytes: (count) => new Uint8Array(count).fill(++ids % 256) },
      clock: { now: () => new Date(nowMs()) },
      prompts,
      primary: {
        name: "drawn",
        offline: false,
        decide: (_, { signal }) =>
          heeding(
            signal,
            wire(worker, "model", async () => said(answers[asked++])),
          ),
      },
      backup: null,
      costUsd: async () => 0,
      agents: new Map([[agent.name, agent]]),
      policies,
      budgets: { thread: { tokens: 200 } },
      owner: worker.owner,
      leaseTtlMs,
      logger: (_, event, fields) => journal.logged(event, String(fields.error ?? "")),
      observe: () => undefined,
    };
  }

  function hire(place: number): Worker {
    const owner = `worker-${nextId()}`;
    const worker: Worker = {
      owner,
      stop: new AbortController(),
      faults: [],
      dead: false,
      frozen: null,
      running: null,
    };
    workers[place] = worker;
    return worker;
  }

  return {
    workers,
    ring(place, threadId) {
      const present = workers[place];
      const usable = present != null && !present.dead && !present.stop.signal.aborted;
      const worker = usable ? present : hire(place);
      if (worker.running !== null) return;
      hands[place] = (tool, args, context) => {
        const { callId, idempotencyKey, attempt, signal } = context;
        journal.began({ tool, args, callId, idempotencyKey, attempt });
        const work = wire(worker, tool, async () => {
          if (args.fails === true) throw new Error("it is broken");
          return null;
        });
        return heeding(signal, work);
      };
      worker.running = runThread(partsOf(worker, place), threadId, worker.stop.signal)
        .catch((error: unknown) => journal.escaped(error))
        .finally(() => {
          worker.running = null;
        });
    },
  };
}

function said(answer: Answer = { step: { intent: "reply", text: "That is all." } }) {
  if ("trouble" in answer) {
    throw new ModelError(answer.trouble, answer.trouble, { retryable: answer.trouble !== "refusal" });
  }
  const output = { step: { reasoning: "because", confidence: 0.9, ...answer.step } };
  return { output, model: "drawn", inputTokens: 10, outputTokens: 5, costUsd: 0, latencyMs: 0 };
}

/** Whoever waits for it is let go when the signal fires; what was sent arrives all the same. */
async function heeding<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
