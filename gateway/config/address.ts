/**
 * Where a running Parley is and how to sign in there, for commands that talk to it. Lenient on purpose: a mistake in
 * another variable must not keep anybody from looking at their threads.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Environment, readVariables, type Variables, withEnvFile } from "./environment.ts";
import { ConfigError } from "./problems.ts";
import { defaultListen } from "./read.ts";
import { Secret } from "./secret.ts";

/** The first start writes the token that it made into this file of the data folder, with mode 0600. */
export const tokenFileName = "admin-token";

export interface Address {
  /** Without a slash at the end. */
  url: string;
  token: Secret | null;
}

export interface AddressOptions {
  env?: Environment;
  cwd?: string;
  url?: string | undefined;
  token?: string | undefined;
}

/** @throws {ConfigError} when the address itself cannot be read. */
export function readAddress(options: AddressOptions = {}): Address {
  const { cwd = process.cwd() } = options;
  const { env } = withEnvFile(options.env ?? process.env, cwd);
  const { values, problems } = readVariables(env);
  const own = problems.filter(({ where }) =>
    ["PARLEY_HOST", "PARLEY_PORT", "PARLEY_PUBLIC_URL"].includes(where),
  );
  if (options.url === undefined && own.length > 0) throw new ConfigError(own);
  const dataDir = resolve(cwd, values.PARLEY_DATA_DIR ?? ".parley");
  return {
    url: options.url === undefined ? usualUrl(values) : givenUrl(options.url),
    token:
      options.token === undefined
        ? (values.PARLEY_ADMIN_TOKEN ?? storedToken(dataDir))
        : new Secret(options.token),
  };
}

function givenUrl(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url.replace(/\/+$/, "");
  const fix = "give an address like --url https://parley.example.com.";
  throw new ConfigError([{ where: "--url", problem: `"${url}" is not an address with http or https.`, fix }]);
}

/** Whoever names a host or a port means this machine; otherwise the public address is the surer way. */
function usualUrl({ PARLEY_HOST: host, PARLEY_PORT: port, PARLEY_PUBLIC_URL: publicUrl }: Variables): string {
  if (host === undefined && port === undefined && publicUrl !== undefined) return publicUrl;
  return localUrl({ host: host ?? defaultListen.host, port: port ?? defaultListen.port });
}

/** An address to listen on everywhere is no address to go to: this machine's own stands for it. */
export function localUrl({ host, port }: { host: string; port: number }): string {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

function storedToken(dataDir: string): Secret | null {
  try {
    const token = readFileSync(join(dataDir, tokenFileName), "utf8").trim();
    return token === "" ? null : new Secret(token);
  } catch {
    return null;
  }
}
