/**
 * A spawned process of the benchmarks: the gateway's side, the worker's side, or both, composed of the real parts.
 * The fake platform is its parent, which it speaks to in batches over IPC: messages in, acknowledgements and replies out.
 */
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { z } from "zod";
import { ids } from "../gateway/ids.ts";
import { createIngest } from "../gateway/ingest.ts";
import {
  asker,
  askerPolicies,
  bindingOf,
  deployingModel,
  echo,
  quiet,
  readingModel,
  sender,
} from "./cast.ts";
import { type Foundation, openFoundation, startBenchWorker } from "./stage.ts";

export const actorSchema = z.object({
  role: z.enum(["all", "gateway", "worker"]),
  url: z.string(),
  redisUrl: z.string().nullable(),
  /** `asker` asks for an approval at once; its replies have nothing that history.ts could check. */
  agent: z.enum(["echo", "asker"]).default("echo"),
  modelMs: z.number().default(0),
  maxConnections: z.number().default(12),
});
export type ActorOptions = z.input<typeof actorSchema>;

/** What the parent says. */
export type Order =
  | { kind: "in"; messages: { conversation: string; key: string; text: string }[] }
  | { kind: "memory" }
  | { kind: "profile"; file: string }
  | { kind: "profiled" };

/** What the actor says. `at` is on the clock that all processes of a machine share, in ms. */
export type Said =
  | { kind: "ready" }
  | { kind: "accepted"; keys: string[] }
  | { kind: "refused"; key: string; error: string }
  | { kind: "sent"; replies: { conversation: string; id: string; text: string; at: number }[] }
  | { kind: "memory"; rssBytes: number; heapBytes: number }
  | { kind: "done" };

/** Resolves when the parent will read it, whatever becomes of this process. */
const say = (said: Said): Promise<void> =>
  new Promise((resolve) => {
    process.send?.(said, () => resolve());
  });
const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Collects what is said within one turn of the event loop into one message; resolves when that is under way. */
function batched<T>(tell: (batch: T[]) => Promise<void>): (item: T) => Promise<void> {
  let batch: T[] = [];
  let told = Promise.resolve();
  return (item) => {
    if (batch.push(item) > 1) return told;
    told = new Promise((resolve) => {
      setImmediate(() => {
        const whole = batch;
        batch = [];
        void tell(whole).then(resolve);
      });
    });
    return told;
  };
}

const told = batched<string>((keys) => say({ kind: "accepted", keys }));
const replied = batched<{ conversation: string; id: string; text: string; at: number }>((replies) =>
  say({ kind: "sent", replies }),
);

const replySchema = z.object({ text: z.string() });
const textOf = (content: unknown): string => replySchema.safeParse(content).data?.text ?? "";

function work(foundation: Foundation, { agent, modelMs }: z.infer<typeof actorSchema>) {
  return startBenchWorker(foundation, {
    ...(agent === "echo"
      ? { agent: echo, model: readingModel(modelMs) }
      : { agent: asker, model: deployingModel(), policies: askerPolicies }),
    onSend: ({ binding, id, content }) =>
      replied({ conversation: binding.anchor, id, text: textOf(content), at: sharedNow() }),
  });
}

function receive(foundation: Foundation) {
  const { log, queue, live } = foundation;
  const count = (): void => undefined;
  const ingest = createIngest({
    log,
    live,
    ids,
    doorbell: queue.doorbell,
    gate: () => ({ allowed: true }),
    route: () => echo.name,
    limits: { messageCharacters: 40_000 },
    metrics: { accepted: count, deduped: count, refused: count },
    logger: quiet,
  });
  return async (message: { conversation: string; key: string; text: string }): Promise<void> => {
    const { conversation, key, text } = message;
    try {
      await ingest.accept({
        kind: "message",
        binding: bindingOf(conversation),
        dedupeKey: key,
        messageId: key,
        sender,
        text,
        attachments: [],
      });
      void told(key);
    } catch (error) {
      void say({ kind: "refused", key, error: String(error) });
    }
  };
}

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");
const session = new Session();
let profileFile = "";

async function startProfile(file: string): Promise<void> {
  profileFile = file;
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
}

async function endProfile(): Promise<void> {
  const { profile } = await session.post("Profiler.stop");
  writeFileSync(profileFile, JSON.stringify(profile));
  session.disconnect();
}

async function act(): Promise<void> {
  const options = actorSchema.parse(JSON.parse(process.argv[2] ?? "null"));
  const foundation = await openFoundation({ ...options, alone: options.role === "all" });
  const worker = options.role === "gateway" ? null : work(foundation, options);
  const hear = receive(foundation);
  // As the gateway's HTTP server does for its event streams.
  if (options.role !== "worker") foundation.live.subscribe(() => undefined);
  process.on("message", async (order: Order) => {
    if (order.kind === "in") for (const message of order.messages) void hear(message);
    if (order.kind === "memory") {
      collectGarbage();
      const { rss, heapUsed } = process.memoryUsage();
      void say({ kind: "memory", rssBytes: rss, heapBytes: heapUsed });
    }
    if (order.kind === "profile") await startProfile(order.file).then(() => say({ kind: "done" }));
    if (order.kind === "profiled") await endProfile().then(() => say({ kind: "done" }));
  });
  process.on("disconnect", async () => {
    await worker?.stop(2_000);
    await foundation.close();
    process.exit();
  });
  void say({ kind: "ready" });
}

if (import.meta.main) await act();
