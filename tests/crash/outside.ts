/**
 * The world outside Parley, served over HTTP by a process that nobody kills: three platforms, the tools' systems and the
 * model. What it takes, it writes into its ledger before it answers; it can take a request and drop the connection, or
 * never answer at all.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { jsonObjectSchema } from "../../core/json.ts";
import { anchorOf, answerTo } from "./brain.ts";
import type { Fault, ModelCall, Posted, ToolRun } from "./words.ts";

const sendSchema = z.object({
  pid: z.number(),
  platform: z.enum(["keyed", "findable", "blind"]),
  anchor: z.string(),
  deliveryId: z.string(),
  kind: z.string(),
  content: jsonObjectSchema,
});
const findSchema = z.object({ platform: z.enum(["keyed", "findable", "blind"]), deliveryId: z.string() });
const toolSchema = z.object({
  pid: z.number(),
  tool: z.string(),
  id: z.string(),
  callId: z.string(),
  key: z.string(),
  attempt: z.number(),
  args: jsonObjectSchema,
});
const lateSchema = z.object({ pid: z.number(), lateMs: z.number() });
const modelSchema = z.object({ pid: z.number(), prompt: z.string() });

export interface Ledger {
  posted: Posted[];
  tools: ToolRun[];
  models: ModelCall[];
  lateMs: Record<number, number>;
}

export interface Outside {
  readonly url: string;
  readonly ledger: Ledger;
  /** Forgets the run before, and arms what is to go wrong in this one. */
  begin(faults: readonly Fault[]): void;
  /** Kinds of faults that came about since `begin`. */
  readonly hits: Set<Fault["kind"]>;
  /** Called for each message that becomes visible on a platform. */
  onPosted: (posted: Posted) => void;
  close(): Promise<void>;
}

type Dropped = Extract<Fault, { kind: "send_dropped" | "tool_dropped" }>;

export async function openOutside(): Promise<Outside> {
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const own = monitorEventLoopDelay({ resolution: 20 });
  own.enable();
  const counts = { send: 0, tool: 0, model: 0 };
  let faults: readonly Fault[] = [];
  const outside: Outside = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ledger: { posted: [], tools: [], models: [], lateMs: {} },
    hits: new Set(),
    onPosted: () => {},
    begin(armed) {
      faults = armed;
      Object.assign(counts, { send: 0, tool: 0, model: 0 });
      Object.assign(outside.ledger, { posted: [], tools: [], models: [], lateMs: {} });
      outside.hits.clear();
      own.reset();
    },
    async close() {
      own.disable();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  const dropAt = (kind: Dropped["kind"], count: number): Dropped["moment"] | null => {
    const fault = faults.find((each): each is Dropped => each.kind === kind && each.k === count);
    if (fault === undefined) return null;
    outside.hits.add(kind);
    return fault.moment;
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: unknown = JSON.parse(await textOf(request));
    const { pid, lateMs } = lateSchema.parse(body);
    outside.ledger.lateMs[pid] = Math.max(outside.ledger.lateMs[pid] ?? 0, lateMs);
    outside.ledger.lateMs[process.pid] = own.max / 1e6;
    const answer = (value: unknown): void => void response.end(JSON.stringify(value));
    switch (request.url) {
      case "/send":
        return send(sendSchema.parse(body), answer, response);
      case "/find":
        return answer({ found: find(findSchema.parse(body)) });
      case "/tool":
        return tool(toolSchema.parse(body), answer, response);
      case "/model":
        return model(modelSchema.parse(body), answer, response);
      default:
        response.statusCode = 404;
        response.end();
    }
  }

  function send(
    sent: z.infer<typeof sendSchema>,
    answer: (value: unknown) => void,
    response: ServerResponse,
  ): void {
    counts.send += 1;
    const drop = dropAt("send_dropped", counts.send);
    if (drop === "before") return void response.destroy();
    const { posted } = outside.ledger;
    const known = posted.some(({ deliveryId }) => deliveryId === sent.deliveryId);
    const entry: Posted = { ...sent, atMs: Date.now(), visible: !(known && sent.platform === "keyed") };
    posted.push(entry);
    if (entry.visible) outside.onPosted(entry);
    if (drop === "after") return void response.destroy();
    answer({ platformId: `p-${sent.deliveryId}` });
  }

  function find({ platform, deliveryId }: z.infer<typeof findSchema>): boolean | null {
    if (platform === "blind") return null;
    return outside.ledger.posted.some((entry) => entry.deliveryId === deliveryId);
  }

  async function tool(
    asked: z.infer<typeof toolSchema>,
    answer: (value: unknown) => void,
    response: ServerResponse,
  ): Promise<void> {
    counts.tool += 1;
    const drop = dropAt("tool_dropped", counts.tool);
    if (drop === "before") return void response.destroy();
    const { tools } = outside.ledger;
    const known =
      asked.tool === "charge" && tools.some(({ key, tool: name }) => key === asked.key && name === "charge");
    const run: ToolRun = { ...asked, beginMs: Date.now(), endMs: null, effective: !known };
    tools.push(run);
    response.once("close", () => {
      run.endMs = Date.now();
    });
    await sleep(5 + (tools.length % 4) * 10);
    if (drop === "after") return void response.destroy();
    answer({ done: asked.id });
  }

  async function model(
    asked: z.infer<typeof modelSchema>,
    answer: (value: unknown) => void,
    response: ServerResponse,
  ): Promise<void> {
    counts.model += 1;
    const { models } = outside.ledger;
    const call: ModelCall = {
      beginMs: Date.now(),
      endMs: null,
      pid: asked.pid,
      anchor: anchorOf(asked.prompt),
    };
    models.push(call);
    response.once("close", () => {
      call.endMs = Date.now();
    });
    if (faults.some((fault) => fault.kind === "model_hang" && fault.k === counts.model)) {
      outside.hits.add("model_hang");
      return;
    }
    const output = answerTo(asked.prompt);
    await sleep(3 + (counts.model % 5) * 6);
    answer({ output });
  }
  return outside;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}
