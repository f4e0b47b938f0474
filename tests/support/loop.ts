/**
 * The loop on a real database, with everything around it in the test's hands: a scripted model, a clock that is set, bells
 * and live signals that are only noted down, and the tools of tools.ts.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import type { Agent } from "../../agents/agent.ts";
import { runThread } from "../../agents/runtime/loop.ts";
import type { LoopFact, LoopParts } from "../../agents/runtime/parts.ts";
import { loadPrompts, type Prompts } from "../../agents/runtime/prompts.ts";
import { type Policy, policySchema } from "../../core/approval.ts";
import type { NewEvent, ThreadEvent } from "../../core/events.ts";
import { parseEvent } from "../../core/events.ts";
import { fold } from "../../core/fold.ts";
import type { JsonObject } from "../../core/json.ts";
import type {
  Clock,
  DecisionResult,
  Doorbell,
  Live,
  LiveSignal,
  Model,
  ModelRequest,
} from "../../core/ports.ts";
import type { ThreadState } from "../../core/thread.ts";
import type { Binding, Sender } from "../../core/words.ts";
import { ids } from "../../gateway/ids.ts";
import { approvals } from "../../store/approvals.ts";
import { threadLog } from "../../store/log.ts";
import { outbox } from "../../store/outbox.ts";
import type { Database } from "../../store/postgres.ts";
import { sweep } from "../../store/sweep.ts";
import { testDatabase } from "./database.ts";
import { type ScriptedModel, scriptedModel } from "./scripted-model.ts";
import { type LedgerLine, ledgerOf, type TestAgentOptions, type ToolArgs, testAgent } from "./tools.ts";

/** Prompts for the test agents, read from files as in the real program. */
export async function testPrompts(folder: string, agents: readonly string[]): Promise<Prompts> {
  const place = join(folder, "prompts");
  for (const agent of agents) {
    await mkdir(join(place, agent), { recursive: true });
    await writeFile(join(place, agent, "v1.md"), `You are ${agent}.\n`);
  }
  await writeFile(join(place, "index.yaml"), agents.map((agent) => `${agent}:\n  active: [v1]\n`).join(""));
  return loadPrompts([place]);
}

export { type LedgerLine, ledgerOf, type ToolArgs, testAgent };

export interface NotedDoorbell extends Doorbell {
  readonly threads: string[];
  readonly deliveries: { threadId: string; delayMs: number }[];
  readonly timers: { timerId: string; delayMs: number }[];
}

export function notedDoorbell(): NotedDoorbell {
  const threads: string[] = [];
  const deliveries: { threadId: string; delayMs: number }[] = [];
  const timers: { timerId: string; delayMs: number }[] = [];
  return {
    threads,
    deliveries,
    timers,
    ringThread: async (threadId) => void threads.push(threadId),
    ringDelivery: async (threadId, delayMs = 0) => void deliveries.push({ threadId, delayMs }),
    ringTimer: async (timerId, delayMs) => void timers.push({ timerId, delayMs }),
  };
}

export function notedLive(): Live & { readonly signals: LiveSignal[] } {
  const signals: LiveSignal[] = [];
  return { signals, publish: (signal) => void signals.push(signal), subscribe: () => () => undefined };
}

export interface SetClock extends Clock {
  advance(ms: number): void;
}

/** Starts at the real time: what is due by it is compared with the database's clock. */
export function setClock(): SetClock {
  let offsetMs = 0;
  return {
    now: () => new Date(Date.now() + offsetMs),
    advance: (ms) => {
      offsetMs += ms;
    },
  };
}

export const person = (name: string): Sender => ({
  channel: "web",
  account: "local",
  identity: name.toLowerCase(),
  name,
  kind: "human",
  assurance: "session",
  person: name.toLowerCase(),
});

export const bindingAt = (anchor: string): Binding => ({
  channel: "web",
  account: "local",
  room: "console",
  anchor,
});

/** A step as a model answers it. */
export const stepOf = (intent: string, body: JsonObject = {}): JsonObject => ({
  step: { intent, reasoning: "because", confidence: 0.9, ...body },
});
export const reply = (text: string): JsonObject => stepOf("reply", { text });
export const use = (tool: string, args: ToolArgs): JsonObject => stepOf(tool, { args: args as JsonObject });

const askedTooOften = "the model was asked too often";

type Line = JsonObject | Error | ((request: ModelRequest) => unknown);

/** A model that says these things in order; an error is thrown, a function is asked. More calls than lines fail the test. */
export function says(...lines: Line[]): ScriptedModel {
  return scriptedModel((request, callIndex) => {
    const line = lines[callIndex];
    if (line === undefined) throw new Error(`${askedTooOften}: ${callIndex + 1} times`);
    if (line instanceof Error) throw line;
    return typeof line === "function" ? line(request) : line;
  });
}

export interface LoopStageOptions {
  agent?: TestAgentOptions;
  agents?: (folder: string) => readonly Agent[];
  policies?: Record<string, Partial<z.input<typeof policySchema>>>;
  model?: Model;
  parts?: Partial<LoopParts>;
}

export type LoopStage = Awaited<ReturnType<typeof loopStage>>;

/** One database and one folder; `parts` can be varied for each worker. Close it at the end. */
export async function loopStage(options: LoopStageOptions = {}) {
  const db = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), "parley-loop-"));
  const statements: string[] = [];
  const database: Database = {
    run: (statement) => {
      statements.push(statement.name ?? statement.text);
      return db.database.run(statement);
    },
    close: () => db.database.close(),
  };
  const log = threadLog(database);
  const doorbell = notedDoorbell();
  const live = notedLive();
  const clock = setClock();
  const facts: LoopFact[] = [];
  const logged: { level: string; event: string; fields: Record<string, unknown> }[] = [];
  const list = options.agents?.(folder) ?? [
    testAgent(folder, options.agent),
    testAgent(folder, { name: "other", handoffTo: ["tester"] }),
  ];
  const prompts = await testPrompts(
    folder,
    list.map(({ name }) => name),
  );
  const policies = new Map<string, Policy>(
    Object.entries(options.policies ?? { ask: {} }).map(([name, policy]) => [
      name,
      policySchema.parse({ name, ...policy }),
    ]),
  );
  const silent: Model = {
    name: "silent",
    offline: false,
    decide: () => Promise.reject(new Error("this test gave no model")),
  };

  const baseParts: LoopParts = {
    log,
    doorbell,
    live,
    ids,
    clock,
    prompts,
    primary: options.model ?? silent,
    backup: null,
    costUsd: async () => 0,
    agents: new Map(list.map((agent) => [agent.name, agent])),
    policies,
    budgets: {},
    owner: "worker-1",
    leaseTtlMs: 5_000,
    logger: (level, event, fields) => void logged.push({ level, event, fields }),
    observe: (fact) => void facts.push(fact),
    ...options.parts,
  };
  const approvalStore = approvals(database);
  const sweeper = sweep(database);

  async function accept(target: { threadId: string } | null, event: NewEvent, key = ids.next()) {
    const newThreadId = ids.next();
    const found = target ?? {
      binding: bindingAt(newThreadId),
      agent: list[0]?.name ?? "tester",
      newThreadId,
    };
    const result = await log.accept({
      target: found,
      dedupe: { channel: "web", account: "local", key },
      event,
    });
    if (result.outcome === "no_thread") throw new Error("no such thread");
    return result;
  }
  const byPerson = (type: "paused" | "resumed" | "cancelled", threadId: string) =>
    accept({ threadId }, {
      type,
      data: type === "resumed" ? {} : { reason: "a test" },
      actor: { kind: "person", sender: person("Ann") },
    } as NewEvent);

  async function events(threadId: string): Promise<ThreadEvent[]> {
    const rows = await db.database.run({
      text: `select seq, type, v, data, actor, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
               from events where thread_id = $1 order by seq`,
      values: [threadId],
    });
    return rows.map((row) => parseEvent(row));
  }

  return {
    db,
    database,
    url: db.url,
    folder,
    /** Names of the statements that ran through the loop's database, in order. */
    statements,
    log,
    doorbell,
    live,
    clock,
    facts,
    logged,
    parts: baseParts,
    approvals: approvalStore,
    outbox: outbox(database),
    sweep: sweeper,
    accept,
    events,

    /** A person writes; without a thread a new one is founded. */
    say(text: string, to: { threadId?: string; from?: string; key?: string } = {}) {
      const sender = person(to.from ?? "Ann");
      const via = bindingAt(to.threadId ?? "new");
      const target = to.threadId === undefined ? null : { threadId: to.threadId };
      const data = { messageId: ids.next(), text, sender, attachments: [], via, correlationId: ids.next() };
      return accept(
        target,
        { type: "message_received", data, actor: { kind: "person", sender } },
        to.key ?? ids.next(),
      );
    },
    pause: (threadId: string) => byPerson("paused", threadId),
    resume: (threadId: string) => byPerson("resumed", threadId),
    cancel: (threadId: string) => byPerson("cancelled", threadId),

    /** Fails when a model is asked more often than the test has lines for: the loop itself would only log that. */
    async run(
      threadId: string,
      changed: Partial<LoopParts> = {},
      stop = new AbortController().signal,
    ): Promise<void> {
      await runThread({ ...baseParts, ...changed }, threadId, stop);
      const unscripted = logged.find(({ fields }) => String(fields.error).startsWith(askedTooOften));
      if (unscripted !== undefined) throw new Error(String(unscripted.fields.error));
    },

    types: async (threadId: string) => (await events(threadId)).map(({ type }) => type),
    state: async (threadId: string): Promise<ThreadState> => fold(await events(threadId)),
    ledger: (phase?: LedgerLine["phase"]) => ledgerOf(folder, phase),

    /** Texts of the outbox, in the order in which they will be delivered. */
    async said(threadId: string): Promise<{ kind: string; text: string; answers: number[] }[]> {
      const rows = await db.database.run({
        text: "select kind, content, answers from outbox where thread_id = $1 order by position",
        values: [threadId],
      });
      return rows.map((row) => ({
        kind: String(row.kind),
        text: String((row.content as JsonObject).text ?? (row.content as JsonObject).tool),
        answers: row.answers as number[],
      }));
    },

    async pendingApproval(threadId: string) {
      const [approval] = await approvalStore.list({ status: "pending", threadId, before: null, limit: 1 });
      if (approval === undefined) throw new Error("nothing waits for an approval");
      return approval;
    },
    decide(
      approvalId: string,
      verdict: "approve" | "reject" | "edit" | "ask_back",
      by: { from?: string; reason?: string; args?: JsonObject } = {},
    ): Promise<DecisionResult> {
      const request = { approvalId, verdict, sender: person(by.from ?? "Boss"), roles: [] };
      return approvalStore.decide(
        { ...request, reason: by.reason ?? null, args: by.args ?? null },
        (_, args) => args,
      );
    },

    /** Makes the thread's timers due by the database's clock and fires them. */
    async fireTimers(threadId: string): Promise<number> {
      const rows = await db.database.run({
        text: "update timers set due_at = now() - interval '1 second' where thread_id = $1 returning id",
        values: [threadId],
      });
      for (const row of rows) await sweeper.fireTimer(String(row.id));
      return rows.length;
    },
    sql: (text: string, values: readonly unknown[] = []) => db.database.run({ text, values }),

    async close() {
      await db.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until it holds, for at most `limitMs`. */
export async function until(holds: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("did not come about in time");
    await sleep(10);
  }
}
