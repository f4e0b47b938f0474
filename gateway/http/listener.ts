/** The listening socket: bounded in how long a request may take to arrive, and in how long it takes to close. */
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";

export interface ListenAddress {
  host: string;
  /** 0 for any free one. */
  port: number;
}

export interface Listener {
  /** How a browser on this machine reaches it. */
  readonly url: string;
  readonly port: number;
  /** Takes no new connection, lets what is under way finish for `graceMs`, then cuts it off. Safe to repeat. */
  close(graceMs: number): Promise<void>;
}

/** Slow senders are let go: headers within 10 s, the whole request within 30 s, checked every 2 s. */
const serverOptions = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: 10_000,
  maxHeaderSize: 16_384,
};

type Fetch = Parameters<typeof createAdaptorServer>[0]["fetch"];

/** @throws the system's error, with its `code`, when it cannot listen there. */
export async function listenOn(
  fetch: Fetch,
  { host, port }: ListenAddress,
  timeouts: Partial<typeof serverOptions> = {},
): Promise<Listener> {
  const server = createAdaptorServer({
    fetch,
    overrideGlobalObjects: false,
    serverOptions: { ...serverOptions, ...timeouts },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
  const address = server.address();
  const bound = address === null || typeof address === "string" ? port : address.port;
  let closing: Promise<void> | undefined;
  return {
    port: bound,
    url: `http://${shownHost(host)}:${bound}`,
    close(graceMs) {
      closing ??= closeServer(server, graceMs);
      return closing;
    },
  };
}

const shownHost = (host: string): string => {
  if (host === "0.0.0.0" || host === "::" || host === "") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
};

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection whose answer has just ended is idle only then.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}
