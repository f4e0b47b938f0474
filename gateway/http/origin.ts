/**
 * Which hosts and origins are ours. The Host check keeps a page that rebinds its name to a loopback address out; the
 * Origin check keeps other sites from using a signed-in browser.
 */
import { hostname, networkInterfaces } from "node:os";
import { HttpRefusal } from "./problem.ts";

/** Where the server listens, and how the outside reaches it. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | null;
}

const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];
const wildcards = ["0.0.0.0", "::", ""];

const bracketed = (host: string): string =>
  host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);

/** @throws {HttpRefusal} 421 when only this machine is meant to reach us and the name is another one. */
export function checkHost(place: Place, hostHeader: string): void {
  if (place.publicUrl !== null || !isLoopback(place.host)) return;
  const name = hostNameOf(hostHeader);
  if (loopbackNames.includes(name) || name === bracketed(place.host)) return;
  throw new HttpRefusal(
    421,
    "This Parley answers to localhost only. Set PARLEY_PUBLIC_URL to give it another name.",
  );
}

function hostNameOf(hostHeader: string): string {
  try {
    return new URL(`http://${hostHeader}`).hostname;
  } catch {
    return "";
  }
}

/** The origins a browser may have when it shows our console. */
export function ownOrigins(place: Place): Set<string> {
  const names = wildcards.includes(place.host)
    ? [...loopbackNames, ...machineNames()]
    : [bracketed(place.host)];
  const local = isLoopback(place.host) ? loopbackNames : [];
  const origins = [...names, ...local].map((name) => new URL(`http://${name}:${place.port}`).origin);
  return new Set(place.publicUrl === null ? origins : [...origins, new URL(place.publicUrl).origin]);
}

function machineNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const names = addresses
    .filter((each) => !each.address.startsWith("fe80:"))
    .map((each) => bracketed(each.address));
  return /^[a-z0-9.-]+$/i.test(hostname()) ? [...names, hostname()] : names;
}
