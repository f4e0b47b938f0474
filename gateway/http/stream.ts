/**
 * A thread's events as server-sent events (WHATWG HTML, 9.2). Everything comes from the store, in order and once; the position
 * is the event's id, so a browser that reconnects goes on where it was. At most one page is in memory for each stream, and a
 * reader that takes nothing for a while is let go.
 */
import { errorLine } from "../../core/errors.ts";
import type { ThreadEvent } from "../../core/events.ts";
import type { Log } from "../../core/ports.ts";
import type { Listing } from "../../store/listing.ts";
import type { PartialView } from "../api.ts";
import { HttpRefusal } from "./problem.ts";
import type { Watch, Watcher } from "./watch.ts";

const pageSize = 100;

export interface StreamsOptions {
  listing: Pick<Listing, "events">;
  watch: Watch;
  logger: Log;
  most: number;
  onCount(open: number): void;
  pingMs?: number;
  /** How long a reader may leave what was sent to it. */
  stallMs?: number;
}

export interface StreamRequest {
  threadId: string;
  after: number;
  signal: AbortSignal;
  /** Asked with every ping: is the caller still allowed to read? */
  stillAllowed(): Promise<boolean>;
}

export interface Streams {
  /** @throws {HttpRefusal} 503 when too many are open. */
  open(request: StreamRequest): Response;
}

export function createStreams(options: StreamsOptions): Streams {
  let open = 0;
  const count = (change: 1 | -1): void => {
    open += change;
    options.onCount(open);
  };
  return {
    open(request) {
      if (open >= options.most) {
        throw new HttpRefusal(503, "Too many streams are open.", { headers: { "retry-after": "10" } });
      }
      count(1);
      const watcher = options.watch.watch(request.threadId);
      const stop = once(() => {
        watcher.stop();
        count(-1);
      });
      request.signal.addEventListener("abort", stop, { once: true });
      if (request.signal.aborted) stop();
      return new Response(bodyOf(frames(request, watcher, options), stop, options), {
        headers: {
          "content-type": "text/event-stream; charset=utf-8",
          "cache-control": "no-store",
          // A proxy that buffers would hold events back.
          "x-accel-buffering": "no",
        },
      });
    },
  };
}

const encoder = new TextEncoder();
const frame = (event: string, data: unknown, id?: number): Uint8Array =>
  encoder.encode(
    `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
  );

/** Each frame is made when the reader has room for it. */
async function* frames(
  { threadId, after, stillAllowed }: StreamRequest,
  watcher: Watcher,
  { listing, pingMs = 15_000 }: StreamsOptions,
): AsyncGenerator<Uint8Array> {
  yield encoder.encode("retry: 2000\n\n");
  let seq = after;
  let pingAtMs = performance.now() + pingMs;
  let changed: boolean = true;
  watcher.seen(seq);
  while (!watcher.over) {
    const partial = watcher.takePartial();
    const page = changed ? await listing.events({ threadId, after: seq, limit: pageSize }) : null;
    const events: ThreadEvent[] = page?.events ?? [];
    for (const event of events) {
      yield frame("event", event, event.seq);
      seq = event.seq;
      watcher.seen(seq);
    }
    // Behind an event a partial may be of a reply that the event has just completed.
    if (partial !== null && events.length === 0)
      yield frame("partial", { text: partial } satisfies PartialView);
    if (performance.now() >= pingAtMs) {
      if (!(await stillAllowed())) return;
      yield frame("ping", {});
      pingAtMs = performance.now() + pingMs;
    }
    changed = events.length === pageSize || (await watcher.next(pingAtMs - performance.now()));
  }
}

function bodyOf(
  source: AsyncGenerator<Uint8Array>,
  stop: () => void,
  { logger, stallMs = 60_000 }: StreamsOptions,
): ReadableStream<Uint8Array> {
  let stalled: NodeJS.Timeout | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stalled);
        try {
          const { value, done } = await source.next();
          if (done) {
            stop();
            controller.close();
            return;
          }
          controller.enqueue(value);
        } catch (error) {
          logger("warn", "stream_failed", { error: errorLine(error) });
          stop();
          controller.error(error);
          return;
        }
        stalled = setTimeout(() => {
          logger("warn", "stream_stalled", {});
          stop();
          controller.error(new Error("the reader stalled"));
        }, stallMs);
      },
      async cancel() {
        clearTimeout(stalled);
        stop();
        await source.return(undefined);
      },
    },
    { highWaterMark: 1 },
  );
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
