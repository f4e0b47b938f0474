import type { Log } from "../core/ports.ts";

export type { Log };

/**
 * A log that writes at most one line for each event name in `everyMs`; the next line says how many were left out.
 * A queue that is down for a night must not fill a disk.
 */
export function sparingly(log: Log, everyMs = 10_000): Log {
  const lines = new Map<string, { loggedAt: number; suppressed: number }>();
  return (level, event, fields) => {
    const line = lines.get(event) ?? { loggedAt: Number.NEGATIVE_INFINITY, suppressed: 0 };
    lines.set(event, line);
    const now = performance.now();
    if (now - line.loggedAt < everyMs) {
      line.suppressed += 1;
      return;
    }
    log(level, event, line.suppressed > 0 ? { ...fields, suppressed: line.suppressed } : fields);
    line.loggedAt = now;
    line.suppressed = 0;
  };
}
