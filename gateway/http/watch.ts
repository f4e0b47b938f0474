/**
 * Tells open streams when their thread has something new. Live signals are a hint that may get lost; each second one statement
 * asks for the versions of all watched threads, so a stream is late by that much at most, whatever was lost.
 */
import { errorLine } from "../../core/errors.ts";
import type { Live, LiveSignal, Log } from "../../core/ports.ts";
import type { Listing } from "../../store/listing.ts";

export interface Watcher {
  /**
   * Resolves at the next news, after `maxMs`, or when the watch is over. News that came since the last call count. True
   * when the log may have grown; false when there is a partial at most.
   */
  next(maxMs: number): Promise<boolean>;
  /** The newest partial reply that was not taken yet. Older ones are dropped: a slow reader gets the newest. */
  takePartial(): string | null;
  /** Where the reader is: a version above it is news. */
  seen(seq: number): void;
  readonly over: boolean;
  stop(): void;
}

export interface Watch {
  watch(threadId: string): Watcher;
  /** Ends every watch, for good. */
  close(): void;
}

export interface WatchOptions {
  live: Live;
  listing: Pick<Listing, "versions">;
  logger: Log;
  pollMs?: number;
}

interface Reader {
  seq: number;
  partial: string | null;
  news(kind: LiveSignal["kind"]): void;
  end(): void;
}

export function createWatch({ live, listing, logger, pollMs = 1_000 }: WatchOptions): Watch {
  const readers = new Map<string, Set<Reader>>();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const unsubscribe = live.subscribe(({ threadId, kind, text }) => {
    for (const reader of readers.get(threadId) ?? []) {
      if (kind === "partial") reader.partial = text ?? "";
      reader.news(kind);
    }
  });

  const poll = async (): Promise<void> => {
    try {
      const versions = await listing.versions([...readers.keys()]);
      for (const [threadId, version] of versions) {
        for (const reader of readers.get(threadId) ?? []) if (version > reader.seq) reader.news("changed");
      }
    } catch (error) {
      logger("warn", "watch_failed", { error: errorLine(error) });
    }
    timer = null;
    arm();
  };
  const arm = (): void => {
    if (closed || timer !== null || readers.size === 0) return;
    timer = setTimeout(() => void poll(), pollMs);
  };

  return {
    watch(threadId) {
      const watcher = createWatcher(() => remove(readers, threadId, watcher.reader));
      const known = readers.get(threadId) ?? new Set();
      if (closed) watcher.reader.end();
      else readers.set(threadId, known.add(watcher.reader));
      arm();
      return watcher;
    },
    close() {
      closed = true;
      unsubscribe();
      if (timer !== null) clearTimeout(timer);
      for (const each of [...readers.values()].flatMap((set) => [...set])) each.end();
      readers.clear();
    },
  };
}

function remove(readers: Map<string, Set<Reader>>, threadId: string, reader: Reader): void {
  const known = readers.get(threadId);
  known?.delete(reader);
  if (known?.size === 0) readers.delete(threadId);
}

function createWatcher(onStop: () => void): Watcher & { reader: Reader } {
  let fresh = false;
  let changed = false;
  let over = false;
  let wake: (() => void) | null = null;
  const reader: Reader = {
    seq: 0,
    partial: null,
    news(kind) {
      fresh = true;
      changed ||= kind === "changed";
      wake?.();
    },
    end() {
      over = true;
      wake?.();
    },
  };
  return {
    reader,
    get over() {
      return over;
    },
    seen(seq) {
      reader.seq = seq;
    },
    takePartial() {
      const { partial } = reader;
      reader.partial = null;
      return partial;
    },
    async next(maxMs) {
      if (!fresh && !over) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.max(0, maxMs));
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = null;
      }
      const grown = changed;
      fresh = false;
      changed = false;
      return grown;
    },
    stop() {
      reader.end();
      onStop();
    },
  };
}
