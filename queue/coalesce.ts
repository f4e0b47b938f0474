/**
 * Thins out live signals for each thread: the first goes at once, what follows within the window becomes one signal at
 * its end. "Changed" drops a partial text that still waits: whoever reads the log now would see the reply, then its
 * unfinished text after it.
 */
import type { LiveSignal } from "../core/ports.ts";

export const CHANGED_WINDOW_MS = 20;
export const PARTIAL_WINDOW_MS = 100;

interface Window {
  waiting: LiveSignal | undefined;
  timer: NodeJS.Timeout;
}

export function coalesce(send: (signal: LiveSignal) => void): {
  publish: (signal: LiveSignal) => void;
  stop: () => void;
} {
  const windows = { changed: new Map<string, Window>(), partial: new Map<string, Window>() };
  let stopped = false;

  function open(signal: LiveSignal): void {
    const { kind, threadId } = signal;
    const delayMs = kind === "changed" ? CHANGED_WINDOW_MS : PARTIAL_WINDOW_MS;
    const timer = setTimeout(() => end(kind, threadId), delayMs);
    timer.unref();
    windows[kind].set(threadId, { waiting: undefined, timer });
    if (kind === "changed") {
      const partial = windows.partial.get(threadId);
      if (partial) partial.waiting = undefined;
    }
    send(signal);
  }
  function end(kind: LiveSignal["kind"], threadId: string): void {
    const waiting = windows[kind].get(threadId)?.waiting;
    windows[kind].delete(threadId);
    if (waiting) open(waiting);
  }

  return {
    publish: (signal) => {
      if (stopped) return;
      const window = windows[signal.kind].get(signal.threadId);
      if (window) window.waiting = signal;
      else open(signal);
    },
    stop: () => {
      stopped = true;
      for (const kind of ["changed", "partial"] as const) {
        for (const window of windows[kind].values()) clearTimeout(window.timer);
        windows[kind].clear();
      }
    },
  };
}
