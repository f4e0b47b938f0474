/**
 * The default that a newcomer gets: one spawned `parley start` with its embedded database, spoken to over HTTP by a
 * client that posts messages and waits until all of them are answered. The answers are compared with what was sent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ids } from "../gateway/ids.ts";
import { cellsOf, functionGoal, type Result, spreadOf, type Tell, timeGoal } from "./figures.ts";
import { echoHome, httpClient } from "./spawned.ts";

const window = 32;
const idlePauseMs = 15;
const pollMs = 2;
const patienceMs = 60_000;

type HttpClient = ReturnType<typeof httpClient>;
const threadSchema = z.object({ id: z.string() });
const eventsSchema = z.object({
  items: z.array(z.looseObject({ type: z.string(), data: z.looseObject({ text: z.string().optional() }) })),
});

export async function embedded(messages: number, idle: number, tell: Tell): Promise<Result> {
  const place = await echoHome();
  try {
    const client = httpClient(await place.start(), window);
    tell("embedded: warming up");
    await flood(client, Math.min(200, messages));
    tell(`embedded: ${messages} messages`);
    const { rate, wrong } = await flood(client, messages);
    const latencies: number[] = [];
    for (let done = 1; done <= idle; done += 1) {
      tell(`embedded: idle, ${done} of ${idle}`);
      latencies.push(await one(client));
      await sleep(idlePauseMs);
    }
    client.close();
    const spread = spreadOf(latencies);
    return {
      name: "embedded",
      columns: ["replies/s", "count", "p50", "p90", "p99", "max"],
      rows: { [`${window} clients`]: [rate, messages], "idle, ms until read": ["", ...cellsOf(spread)] },
      goals: [
        functionGoal("every message has its own answer, once", wrong === 0),
        timeGoal(`idle p50 under 30 ms over HTTP (${spread.p50.toFixed(1)})`, spread.p50 < 30),
      ],
    };
  } finally {
    await place.close();
  }
}

async function post(client: HttpClient, text: string): Promise<string> {
  const body = { agent: "echo", input: text, idempotencyKey: text };
  const answer = await client.call("POST", "/v1/threads", body);
  if (answer.status >= 300) throw new Error(`POST /v1/threads: ${answer.status} ${answer.body}`);
  return threadSchema.parse(JSON.parse(answer.body)).id;
}

async function replies(client: HttpClient, threadId: string): Promise<string[]> {
  const { body } = await client.call("GET", `/v1/threads/${threadId}/events?limit=200`);
  return eventsSchema
    .parse(JSON.parse(body))
    .items.flatMap(({ type, data }) => (type === "reply_committed" ? [data.text ?? ""] : []));
}

/** As many clients as there are connections, each posting as soon as it was acknowledged; then all wait for the rest. */
async function flood(client: HttpClient, messages: number): Promise<{ rate: number; wrong: number }> {
  const sent = new Map<string, string>();
  const before = await delivered(client);
  const startedAt = performance.now();
  const lane = async (): Promise<void> => {
    for (; sent.size < messages; ) {
      const text = ids.next();
      sent.set(text, "");
      sent.set(text, await post(client, text));
    }
  };
  await Promise.all(Array.from({ length: window }, lane));
  while ((await delivered(client)) - before < messages) {
    if (performance.now() - startedAt > patienceMs) break;
    await sleep(20);
  }
  const rate = (messages * 1_000) / (performance.now() - startedAt);
  let wrong = 0;
  for (const [text, threadId] of sent) {
    const answers = await replies(client, threadId);
    if (answers.length !== 1 || answers[0] !== text) wrong += 1;
  }
  return { rate, wrong };
}

async function delivered(client: HttpClient): Promise<number> {
  const { body } = await client.call("GET", "/metrics");
  return Number(/^parley_deliveries_total\{channel="web",outcome="sent"\} (\d+)/m.exec(body)?.[1] ?? 0);
}

async function one(client: HttpClient): Promise<number> {
  const startedAt = performance.now();
  const threadId = await post(client, ids.next());
  while ((await replies(client, threadId)).length === 0) {
    if (performance.now() - startedAt > patienceMs) throw new Error("no answer");
    await sleep(pollMs);
  }
  return performance.now() - startedAt;
}
