/** The program's log: JSON lines on stderr through pino, an event name and ids each. Nothing else writes a log line. */
import { destination, type Level, pino } from "pino";
import type { Log } from "../core/ports.ts";

export interface Logger {
  log: Log;
  /** Writes out what is buffered; call it before the process ends. */
  flush(): void;
}

/** Names whose values never reach a log line, whoever passes them. */
const redacted = [
  "text",
  "body",
  "content",
  "args",
  "token",
  "authorization",
  "cookie",
  "password",
  "secret",
];

export function openLogger(level: Level, role: string): Logger {
  const stream = destination({ dest: 2, sync: true });
  const logger = pino(
    {
      level,
      base: { role, processId: process.pid },
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redacted, censor: "[redacted]" },
    },
    stream,
  );
  return {
    log: (at, event, fields) => logger[at](fields, event),
    flush: () => logger.flush(),
  };
}
