/**
 * Live signals over Redis pub/sub: one connection to publish, and one to listen where somebody does. Both come back for
 * ever; what is published while Redis is away is dropped.
 */
import { Redis } from "ioredis";
import { errorLine } from "../core/errors.ts";
import { type LiveTransport, liveOver, type OpenLive } from "./live.ts";
import { type Log, sparingly } from "./log.ts";
import { patientOptions, promptOptions, tellOfOutages } from "./redis-connection.ts";

const CHANNEL = "parley:live";
const MAX_BYTES = 256 * 1024;

export function redisLive(url: string, log: Log): OpenLive {
  return liveOver((receive) => openTransport(url, receive, log), log);
}

function openTransport(url: string, receive: (payload: string) => void, log: Log): LiveTransport {
  const publisher = new Redis(url, promptOptions).on("error", () => undefined);
  let subscriber: Redis | undefined;
  const sparing = sparingly(log);
  const drop = (error: unknown): void => sparing("warn", "live.lost", { error: errorLine(error) });

  return {
    maxBytes: MAX_BYTES,
    send: (payload) => void publisher.publish(CHANNEL, payload).catch(drop),
    listen: () => {
      if (subscriber !== undefined) return;
      subscriber = new Redis(url, patientOptions);
      tellOfOutages(subscriber, log, "redis live");
      subscriber.on("message", (_channel, payload) => receive(payload));
      subscriber.subscribe(CHANNEL).catch(drop);
    },
    close: async () => {
      publisher.disconnect();
      subscriber?.disconnect();
    },
  };
}
