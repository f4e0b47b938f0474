/**
 * The web channel: the console and the API. People read a thread's log itself, so placing a message means nothing more
 * than that it is committed; a delivery succeeds at once and may be repeated without harm.
 */
import type { Channel } from "../channel.ts";

export const webChannel: Channel = {
  name: "web",
  ingress: { kind: "api" },
  maxSendsPerSecond: Number.POSITIVE_INFINITY,
  sendIsIdempotent: true,
  send: async (delivery) => ({ platformId: delivery.id }),
  find: async (delivery) => ({ platformId: delivery.id }),
};
