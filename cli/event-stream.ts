/**
 * Reads server-sent events (WHATWG HTML, section 9.2) and follows a thread through outages: after a break it asks again
 * from the last event it saw, so that nothing is missed and nothing comes twice.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { parseEvent, type ThreadEvent } from "../core/events.ts";
import { type ApiClient, withQuery } from "./api-client.ts";
import { CommandError, exitCodes } from "./exit.ts";

export interface ServerEvent {
  event: string;
  data: string;
}

export async function* readServerEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let current = { event: "message", data: [] as string[] };
  for await (const line of linesOf(body)) {
    if (line === "") {
      if (current.data.length > 0) yield { event: current.event, data: current.data.join("\n") };
      current = { event: "message", data: [] };
      continue;
    }
    const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === "event") current.event = value;
    if (name === "data") current.data.push(value);
  }
}

/** A line ends at CRLF, LF or CR; a CR at the end of a chunk waits for what follows it. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    rest += chunk;
    const complete = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
    const lines = complete.split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? "") + rest.slice(complete.length);
    yield* lines;
  }
}

export type Happening =
  | { kind: "event"; event: ThreadEvent }
  | { kind: "partial"; text: string }
  | { kind: "lost" }
  | { kind: "back" };

export interface FollowOptions {
  threadId: string;
  afterSeq: number;
  signal: AbortSignal;
  /** Attempts in a row before giving up. */
  maxAttempts?: number;
}

/** The server pings more often than this; longer silence means that the connection is dead. */
const silenceMs = 60_000;
const longestPauseMs = 5_000;

/**
 * Everything that happens on the thread from `afterSeq` on, until the signal fires.
 * @throws {CommandError} when the server refuses, or stays away for `maxAttempts` attempts.
 */
export async function* followThread(api: ApiClient, options: FollowOptions): AsyncGenerator<Happening> {
  const { threadId, signal, maxAttempts = 60 } = options;
  let { afterSeq } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const path = withQuery(`/v1/threads/${encodeURIComponent(threadId)}/events`, { after: afterSeq });
      for await (const happening of connectionOf(api, path, signal)) {
        if (failures > 0) yield { kind: "back" };
        failures = 0;
        if (happening === null) continue;
        if (happening.kind === "event") {
          if (happening.event.seq <= afterSeq) continue;
          afterSeq = happening.event.seq;
        }
        yield happening;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof CommandError && error.code === exitCodes.refused) throw error;
      if (failures + 1 >= maxAttempts) throw error;
    }
    if (signal.aborted) return;
    failures++;
    if (failures === 1) yield { kind: "lost" };
    await sleep(Math.min(longestPauseMs, 100 * 2 ** Math.min(failures, 10)), undefined, { signal }).catch(
      () => {},
    );
  }
}

const partialSchema = z.looseObject({ text: z.string() });

/** One connection, ended after `silenceMs` without a sign of life. Gives null for signs of life that say nothing. */
async function* connectionOf(
  api: ApiClient,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Exclude<Happening, { kind: "lost" | "back" }> | null> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs);
  try {
    const body = await api.stream(path, AbortSignal.any([signal, silence.signal]));
    yield null;
    for await (const { event, data } of readServerEvents(body)) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMs);
      if (event === "event") yield { kind: "event", event: parseEvent(JSON.parse(data)) };
      else if (event === "partial")
        yield { kind: "partial", text: partialSchema.parse(JSON.parse(data)).text };
      else yield null;
    }
  } finally {
    clearTimeout(timer);
  }
}
