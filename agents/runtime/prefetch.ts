/** What an agent will surely need, fetched before its first thought, in parallel. A failure is an event, not a crash. */
import { errorLine } from "../../core/errors.ts";
import type { NewEvent } from "../../core/events.ts";
import type { Json } from "../../core/json.ts";
import type { Agent } from "../agent.ts";
import { system } from "./plan.ts";

const fetchTimeoutMs = 10_000;
/** Characters of JSON; more would crowd out the conversation. */
const maxFetchedCharacters = 16_000;

export async function prefetch(agent: Agent, runId: string, signal: AbortSignal): Promise<NewEvent[]> {
  return Promise.all(
    agent.prefetch.map(async ({ name, fetch }): Promise<NewEvent> => {
      const outcome = await settled(fetch, AbortSignal.any([signal, AbortSignal.timeout(fetchTimeoutMs)]));
      signal.throwIfAborted();
      return { type: "prefetched", data: { runId, name, outcome }, actor: system };
    }),
  );
}

type Outcome = { ok: true; result: Json } | { ok: false; error: string };

async function settled(fetch: (signal: AbortSignal) => Promise<Json>, signal: AbortSignal): Promise<Outcome> {
  try {
    signal.throwIfAborted();
    const text = JSON.stringify(await Promise.race([fetch(signal), aborted(signal)])) ?? "null";
    if (text.length > maxFetchedCharacters)
      return { ok: false, error: `too large (${text.length} characters)` };
    return { ok: true, result: JSON.parse(text) as Json };
  } catch (error) {
    return { ok: false, error: errorLine(error) };
  }
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
