/** A worker with an instant model and a channel that notes when something is sent: what the benchmarks measure against. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent } from "../agents/agent.ts";
import { openCircuit } from "../agents/model/circuit.ts";
import type { Prompts } from "../agents/runtime/prompts.ts";
import type { Channel } from "../channels/channel.ts";
import type { Policy } from "../core/approval.ts";
import type { JsonObject } from "../core/json.ts";
import type { AcceptRequest, Log, Model, ThreadLog } from "../core/ports.ts";
import type { Sender } from "../core/words.ts";
import { clock, ids } from "../gateway/ids.ts";
import { startWorker } from "../gateway/worker.ts";
import { memoryLive } from "../queue/live.ts";
import { openQueue, type Queue } from "../queue/queue.ts";
import { startEmbeddedPostgres } from "../store/embedded/server.ts";
import { threadLog } from "../store/log.ts";
import { outbox } from "../store/outbox.ts";
import { type Database, migrate, openDatabase } from "../store/postgres.ts";
import { sweep } from "../store/sweep.ts";

export interface Stage {
  log: ThreadLog;
  queue: Queue;
  database: Database;
  /** Resolves with the time (`performance.now()`) at which the thread's next outbox entry reaches the channel. */
  nextSend(threadId: string): Promise<number>;
  close(): Promise<void>;
}

const echo: Agent = {
  name: "echo",
  description: "Answers at once.",
  tools: [],
  limits: { maxSteps: 3, contextTokens: 8_000, maxOutputTokens: 100, modelTimeoutMs: 5_000 },
  handoffTo: [],
  promptVariables: () => ({}),
  prefetch: [],
  offline: null,
};

/** A model that takes no time and always answers with the same step. */
export const instantModel = (step: JsonObject): Model => ({
  name: "instant",
  offline: true,
  decide: async () => ({
    output: { step: { reasoning: "bench", confidence: 1, ...step } },
    model: "instant",
    inputTokens: 1,
    outputTokens: 1,
    costUsd: 0,
    latencyMs: 0,
  }),
});

const prompt = { version: "v1", hash: "0".repeat(64), text: "Answer." };
const prompts: Prompts = {
  versions: () => [],
  forThread: () => prompt,
  exactly: () => prompt,
  check: () => [],
};

const quiet: Log = (level, event, fields) => {
  if (level === "error") console.error(event, fields);
};

export interface BenchWorker {
  database: Database;
  queue: Queue;
  log: ThreadLog;
  close(): Promise<void>;
}

export interface Cast {
  agent: Agent;
  model: Model;
  policies: ReadonlyMap<string, Policy>;
  onSend(threadId: string): void;
}

/** A worker on a database that exists. @param redisUrl null: the queue is in Postgres, too. */
export async function startBenchWorker(
  url: string,
  redisUrl: string | null,
  cast: Cast,
): Promise<BenchWorker> {
  const database = openDatabase({ url });
  const server =
    redisUrl === null ? ({ kind: "postgres", url } as const) : ({ kind: "redis", url: redisUrl } as const);
  const queue = await openQueue(server, { log: quiet });
  const channel: Channel = {
    name: "bench",
    ingress: { kind: "api" },
    maxSendsPerSecond: Number.POSITIVE_INFINITY,
    sendIsIdempotent: true,
    async send({ id, threadId }) {
      cast.onSend(threadId);
      return { platformId: id };
    },
    find: async () => "absent",
  };
  const log = threadLog(database);
  const live = memoryLive(quiet);
  const worker = startWorker({
    concurrency: 32,
    queue,
    sweep: sweep(database),
    delivery: {
      outbox: outbox(database),
      channels: new Map([[channel.name, channel]]),
      doorbell: queue.doorbell,
      ids,
      logger: quiet,
      maxAttempts: 5,
      firstRetryMs: 1_000,
      longestRetryMs: 60_000,
      sendTimeoutMs: 10_000,
      observe: () => {},
    },
    loop: {
      prompts,
      primary: cast.model,
      backup: null,
      circuit: openCircuit(),
      costUsd: async () => 0,
      live,
      ids,
      clock,
      log,
      doorbell: queue.doorbell,
      agents: new Map([[cast.agent.name, cast.agent]]),
      policies: cast.policies,
      budgets: {},
      owner: ids.next(),
      leaseTtlMs: 8_000,
      logger: quiet,
      observe: () => {},
    },
  });
  return {
    database,
    queue,
    log,
    async close() {
      await worker.stop(2_000);
      await live.close();
      await queue.close();
      await database.close();
    },
  };
}

/** A migrated embedded database in a temporary folder. */
export async function tempDatabase(): Promise<{ url: string; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "parley-bench-"));
  const server = await startEmbeddedPostgres({ folder: join(folder, "postgres") });
  await migrate(server.url);
  return {
    url: server.url,
    async close() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A worker that answers every message at once, on a database of its own. */
export async function openStage(redisUrl: string | null): Promise<Stage> {
  const record = await tempDatabase();
  const waiting = new Map<string, (at: number) => void>();
  const worker = await startBenchWorker(record.url, redisUrl, {
    agent: echo,
    model: instantModel({ intent: "reply", text: "Done." }),
    policies: new Map(),
    onSend(threadId) {
      waiting.get(threadId)?.(performance.now());
      waiting.delete(threadId);
    },
  });
  const { log, queue, database } = worker;
  return {
    log,
    queue,
    database,
    nextSend: (threadId) => new Promise((resolve) => waiting.set(threadId, resolve)),
    async close() {
      await worker.close();
      await record.close();
    },
  };
}

const sender: Sender = {
  channel: "bench",
  account: "a",
  identity: "u",
  name: "U",
  kind: "human",
  assurance: "session",
  person: "u",
};

/** A message into a thread of its own, or into `threadId`'s. */
export function message(threadId: string, text: string, agent = "echo"): AcceptRequest {
  const binding = { channel: "bench", account: "a", room: "r", anchor: threadId };
  const id = ids.next();
  return {
    target: { binding, agent, newThreadId: threadId },
    dedupe: { channel: "bench", account: "a", key: id },
    event: {
      type: "message_received",
      data: { messageId: id, text, sender, attachments: [], via: binding, correlationId: id },
      actor: { kind: "person", sender },
    },
  };
}
