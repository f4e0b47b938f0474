/**
 * Follows a thread's log: first what is there, page by page, then live by SSE. The browser reconnects with Last-Event-ID on
 * its own; when it gives up, or nothing was heard for too long, we read what was missed and open a new stream.
 * Events come once each and in order, however often the connection breaks.
 */
import type { EventView } from "../../../gateway/api.ts";
import { api, eventsPath } from "../api/endpoints.ts";

export type Connection = "connecting" | "live" | "reconnecting";

export interface Listener {
  events(events: EventView[]): void;
  /** The first load is done. */
  ready(): void;
  /** A reply's text so far; shown, never kept. */
  partial(text: string): void;
  connection(state: Connection): void;
  /** The log could not be read; another attempt follows. */
  failed(error: unknown): void;
}

/** The gateway pings every 15 s; three in a row missing means that the connection is dead. */
const silenceMs = 45_000;
const longestDelayMs = 15_000;

/** Returns what ends it. */
export function followThread(threadId: string, listener: Listener): () => void {
  const abort = new AbortController();
  let lastSeq = 0;
  let attempt = 0;
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const take = (events: EventView[]) => {
    const fresh = events.filter(({ seq }) => seq > lastSeq);
    const last = fresh.at(-1);
    if (last === undefined) return;
    lastSeq = last.seq;
    listener.events(fresh);
  };

  const readOn = async () => {
    for (;;) {
      const page = await api.events(threadId, lastSeq, abort.signal);
      take(page.items);
      if (page.next === null || page.items.length === 0) return;
    }
  };

  const startLater = () => {
    source?.close();
    clearTimeout(timer);
    if (abort.signal.aborted) return;
    listener.connection("reconnecting");
    timer = setTimeout(start, Math.min(longestDelayMs, 500 * 2 ** attempt++));
  };

  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(startLater, silenceMs);
  };

  const listen = () => {
    source = new EventSource(`${eventsPath(threadId)}?after=${lastSeq}`);
    source.onopen = () => {
      attempt = 0;
      heard();
      listener.connection("live");
    };
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) startLater();
      else listener.connection("reconnecting");
    };
    source.addEventListener("ping", heard);
    source.addEventListener("event", ({ data }: MessageEvent<string>) => {
      heard();
      take([JSON.parse(data) as EventView]);
    });
    source.addEventListener("partial", ({ data }: MessageEvent<string>) => {
      heard();
      listener.partial((JSON.parse(data) as { text: string }).text);
    });
    heard();
  };

  const start = () => {
    readOn()
      .then(() => {
        if (abort.signal.aborted) return;
        listener.ready();
        listen();
      })
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        listener.failed(error);
        startLater();
      });
  };

  start();
  return () => {
    abort.abort();
    clearTimeout(timer);
    source?.close();
  };
}
