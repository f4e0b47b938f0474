/**
 * One process of Parley under test, a gateway or a worker, composed of the real parts. It waits idle until it is told
 * which, so that the parent always has spares, and plays many runs until one of them kills it.
 */
import { runThread } from "../../agents/runtime/loop.ts";
import type { LoopParts } from "../../agents/runtime/parts.ts";
import { errorLine } from "../../core/errors.ts";
import type { Log } from "../../core/ports.ts";
import { deliverer } from "../../gateway/deliver.ts";
import { clock, ids } from "../../gateway/ids.ts";
import { createIngest, wake } from "../../gateway/ingest.ts";
import { memoryLive } from "../../queue/live.ts";
import { openQueue, type Queue } from "../../queue/queue.ts";
import { type Sweeper, startSweeper } from "../../queue/sweeper.ts";
import { type Listing, listing } from "../../store/listing.ts";
import { openDatabase } from "../../store/postgres.ts";
import { bugNamed } from "./bugs/index.ts";
import { agentOf, channelsAt, forgetLateness, modelAt, policies, prompts, toolsAt } from "./cast.ts";
import type { Beginning, Envelope, Look, Order } from "./orders.ts";
import { portsOf } from "./parts.ts";
import type { Ports } from "./ports.ts";
import { openProbe, type Probe } from "./probe.ts";
import { leaseMs, sendTimeoutMs } from "./words.ts";

const talks = process.env.CRASH_LOG === "1";
const logger: Log = (level, event, fields) => {
  if (talks && level !== "debug") console.error(process.pid, event, JSON.stringify(fields));
};

type Handle = (order: Exclude<Order, Beginning>) => Promise<unknown>;

let handle: Handle | null = null;

process.on("disconnect", () => process.exit(0));
process.on("unhandledRejection", (error) => {
  console.error("unhandled", error);
  process.exit(70);
});
process.on("message", (message) => {
  const { number, order } = message as Envelope;
  answer(order).then(
    (value) => process.send?.({ number, value: value ?? null }),
    (error) => process.send?.({ number, error: errorLine(error) }),
  );
});

async function answer(order: Order): Promise<unknown> {
  if (order.do === "arm") forgetLateness();
  if (order.do === "begin") {
    handle = await begin(order);
    return null;
  }
  if (handle === null) throw new Error("not begun");
  return handle(order);
}

async function begin(order: Beginning): Promise<Handle> {
  const { databaseUrl, redisUrl, outsideUrl, prefix } = order;
  const bug = order.bug === null ? null : bugNamed(order.bug);
  const database = openDatabase({ url: databaseUrl, maxConnections: 8 });
  const server =
    redisUrl === null
      ? ({ kind: "postgres", url: databaseUrl } as const)
      : ({ kind: "redis", url: redisUrl } as const);
  const queue = await openQueue(server, { log: logger, prefix });
  const probe = openProbe();
  const raw = portsOf(
    database,
    {
      doorbell: queue.doorbell,
      model: modelAt(outsideUrl),
      tools: toolsAt(outsideUrl),
      channels: channelsAt(outsideUrl),
    },
    bug,
  );
  const ports = probed(raw, probe);
  if (order.role === "gateway") return gateway(ports, probe, listing(database));
  work(ports, queue);
  return async (told) => {
    if (told.do === "arm") probe.arm(told.faults);
  };
}

const probed = (raw: Ports, probe: Probe): Ports => ({
  log: probe.wrap("log", raw.log),
  outbox: probe.wrap("outbox", raw.outbox),
  approvals: probe.wrap("approvals", raw.approvals),
  sweep: probe.wrap("sweep", raw.sweep),
  doorbell: probe.wrap("doorbell", raw.doorbell),
  model: probe.wrap("model", raw.model),
  tools: raw.tools.map((tool) => ({ ...tool, run: probe.wrap("tool", { run: tool.run }).run })),
  channels: raw.channels.map((channel) => probe.wrap("channel", channel)),
});

/** As gateway/worker.ts composes a worker, but with times that let a run end within a second. */
function work(ports: Ports, queue: Queue): void {
  const agent = agentOf(ports.tools);
  const loop: LoopParts = {
    prompts,
    primary: ports.model,
    backup: null,
    costUsd: async () => 0,
    live: memoryLive(logger),
    ids,
    clock,
    log: ports.log,
    doorbell: ports.doorbell,
    agents: new Map([[agent.name, agent]]),
    policies,
    budgets: {},
    owner: ids.next(),
    leaseTtlMs: leaseMs,
    logger,
    observe: () => {},
  };
  const { deliverThread } = deliverer({
    outbox: ports.outbox,
    channels: new Map(ports.channels.map((channel) => [channel.name, channel])),
    doorbell: ports.doorbell,
    ids,
    logger,
    maxAttempts: 5,
    firstRetryMs: 40,
    longestRetryMs: 300,
    sendTimeoutMs,
    observe: () => {},
  });
  queue.consume(
    {
      thread: (threadId, signal) => runThread(loop, threadId, signal),
      delivery: deliverThread,
      timer: async (timerId) => {
        const threadId = await ports.sweep.fireTimer(timerId);
        if (threadId !== null) await ports.doorbell.ringThread(threadId);
      },
    },
    8,
  );
  sweepAfresh(ports);
}

const lostAfterMs = 250;
const sweepEveryMs = 120;
/** A sweeper leaves an id alone for seconds once it has rung for it. Here it is started anew, and forgets that. */
const sweeperLivesMs = 1_200;

function sweepAfresh({ sweep, doorbell }: Ports): void {
  const start = (): Sweeper =>
    startSweeper({
      source: {
        lostThreads: (limit) => sweep.lostThreads(lostAfterMs, limit),
        lostDeliveries: (limit) => sweep.lostDeliveries(lostAfterMs, limit),
        dueTimers: (limit) => sweep.dueTimers(limit),
      },
      doorbell,
      log: logger,
      intervalMs: sweepEveryMs,
    });
  let sweeper = start();
  setInterval(() => {
    void sweeper.stop();
    sweeper = start();
  }, sweeperLivesMs);
}

function gateway(ports: Ports, probe: Probe, read: Listing): Handle {
  const live = memoryLive(logger);
  const ingest = createIngest({
    log: ports.log,
    doorbell: ports.doorbell,
    live,
    ids,
    gate: () => ({ allowed: true }),
    route: () => "crash",
    limits: { messageCharacters: 10_000 },
    metrics: { accepted: () => {}, deduped: () => {}, refused: () => {} },
    logger,
  });
  return async (told) => {
    switch (told.do) {
      case "arm":
        return probe.arm(told.faults);
      case "accept":
        return ingest.accept(told.event);
      case "decide": {
        const result = await ports.approvals.decide(told.request, (_, args) => args);
        if (result.outcome === "decided" || result.outcome === "counted")
          await wake({ doorbell: ports.doorbell, live, logger }, result.threadId);
        return result;
      }
      case "look":
        return look(read, told.anchors);
    }
  };
}

async function look(read: Listing, anchors: readonly string[]): Promise<Look> {
  const [threads, deliveries] = await Promise.all([
    read.threads({ after: null, limit: 20, status: null, agent: null }),
    read.deliveries({ after: null, limit: 100, status: null, threadId: null }),
  ]);
  return {
    threads: threads.items
      .map(({ home, status, waitingFor }) => ({ anchor: home?.anchor ?? "", status, waitingFor }))
      .filter(({ anchor }) => anchors.includes(anchor)),
    deliveries: deliveries.items
      .map(({ binding, kind, status, content }) => ({ anchor: binding.anchor, kind, status, content }))
      .filter(({ anchor }) => anchors.includes(anchor)),
  };
}
