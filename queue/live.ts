/**
 * Passes on what may be lost without harm: "something changed", and the text of a reply while it is written. Nothing is
 * stored; whoever missed a signal reads the log. Listeners of this process hear without any server, and go on hearing
 * while the server is away; only other processes miss what is published then.
 */
import { z } from "zod";
import { errorLine } from "../core/errors.ts";
import type { Live, LiveSignal } from "../core/ports.ts";
import { coalesce } from "./coalesce.ts";
import type { Log } from "./log.ts";

/** `Live` with an end. */
export interface OpenLive extends Live {
  /** Ends its connections and timers; what is not yet passed on is dropped. */
  close(): Promise<void>;
}

/** Carries signals to other processes, at most once, in order, and never throws. `listen` may be called again. */
export interface LiveTransport {
  readonly maxBytes: number;
  send(payload: string): void;
  /** Begins to receive. A process where nobody listens is spared what the others say. */
  listen(): void;
  close(): Promise<void>;
}

const envelopeSchema = z.object({
  origin: z.string(),
  threadId: z.string().min(1),
  kind: z.enum(["changed", "partial"]),
  text: z.string().optional(),
  cut: z.boolean().optional(),
});

/** For a single process. */
export function memoryLive(log: Log): OpenLive {
  return liveOver(
    () => ({
      maxBytes: Number.POSITIVE_INFINITY,
      send: () => undefined,
      listen: () => undefined,
      close: async () => undefined,
    }),
    log,
  );
}

/** @param open receives what to do with a payload that arrives, this process's own included. */
export function liveOver(open: (receive: (payload: string) => void) => LiveTransport, log: Log): OpenLive {
  const origin = crypto.randomUUID();
  const listeners = new Set<(signal: LiveSignal) => void>();
  const tell = (signal: LiveSignal): void => {
    for (const listener of listeners) {
      try {
        listener(signal);
      } catch (error) {
        log("error", "live.listener_failed", { threadId: signal.threadId, error: errorLine(error) });
      }
    }
  };
  const transport = open((payload) => {
    const signal = decode(payload, origin);
    if (signal !== null) tell(signal);
  });
  const outgoing = coalesce((signal) => {
    tell(signal);
    const payload = encode(signal, origin, transport.maxBytes);
    if (payload !== null) transport.send(payload);
  });

  return {
    publish: outgoing.publish,
    subscribe: (listener) => {
      if (listeners.size === 0) transport.listen();
      const own = (signal: LiveSignal): void => listener(signal);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close: async () => {
      outgoing.stop();
      listeners.clear();
      await transport.close();
    },
  };
}

/** Null when it does not fit even with its text cut. The end of a text is kept: it is what the reader has not seen. */
export function encode(signal: LiveSignal, origin: string, maxBytes: number): string | null {
  let payload = JSON.stringify({ origin, ...signal });
  let text = signal.text ?? "";
  while (Buffer.byteLength(payload) > maxBytes) {
    if (text === "") return null;
    text = text.slice(Math.ceil(text.length / 4)).replace(/^[\uDC00-\uDFFF]/, "");
    payload = JSON.stringify({ origin, ...signal, text, cut: true });
  }
  return payload;
}

/** Null for this process's own signals, and for what another version may have sent that this one cannot read. */
export function decode(payload: string, ownOrigin: string): LiveSignal | null {
  try {
    const { origin, threadId, kind, text, cut } = envelopeSchema.parse(JSON.parse(payload));
    if (origin === ownOrigin) return null;
    return { threadId, kind, ...(text !== undefined && { text }), ...(cut !== undefined && { cut }) };
  } catch {
    return null;
  }
}
