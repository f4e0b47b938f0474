/** What the queue tests share: a log that remembers, a condition to wait for, and a gate that holds handlers. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../queue/log.ts";

export interface RecordedLine {
  level: string;
  event: string;
  fields: Record<string, unknown>;
}

export function recordedLog(): { log: Log; lines: RecordedLine[]; of(event: string): RecordedLine[] } {
  const lines: RecordedLine[] = [];
  return {
    lines,
    log: (level, event, fields) => void lines.push({ level, event, fields }),
    of: (event) => lines.filter((line) => line.event === event),
  };
}

export async function until(condition: () => boolean, what: string, limitMs = 5_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(2);
  }
}

export function gate(): { opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

export async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
