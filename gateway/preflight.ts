/**
 * What can be known to stand in the way before anything is started: a port in use, a folder that another instance
 * holds. Nothing is left behind: the port is given back, and so is the folder.
 */
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { FolderHeldError } from "../store/embedded/errors.ts";
import { holdFolder } from "../store/embedded/instance-lock.ts";
import { localUrl } from "./config/address.ts";
import type { KnownPlaces, Problem } from "./config/problems.ts";

export async function preflight({ listen, dataDir }: KnownPlaces): Promise<Problem[]> {
  const problems = await Promise.all([
    listen === null ? null : portProblem(listen),
    dataDir === null ? null : folderProblem(dataDir),
  ]);
  return problems.filter((problem) => problem !== null);
}

/** Null when the port is free. */
export async function portProblem(listen: { host: string; port: number }): Promise<Problem | null> {
  const code = await listenError(listen);
  if (code === null) return null;
  if (code !== "EADDRINUSE") return listenProblem(listen, code);
  const holder = (await isParley(listen)) ? "another Parley" : "another program";
  return {
    where: `PARLEY_PORT ${listen.port}`,
    problem: `The port is in use by ${holder} at ${listen.host}.`,
    fix: `stop it, or choose another port, like PARLEY_PORT=${listen.port === 65_535 ? 7470 : listen.port + 1}.`,
  };
}

/** A problem for what `listen` refused with, whoever called it. */
export function listenProblem({ host, port }: { host: string; port: number }, code: string): Problem {
  const reasons: { [code: string]: [string, string] } = {
    EACCES: ["this user may not use it", "choose a port above 1023 with PARLEY_PORT."],
    EADDRNOTAVAIL: ["this machine does not have that address", "correct PARLEY_HOST."],
    ENOTFOUND: ["that name is not known here", "correct PARLEY_HOST."],
  };
  const [reason, fix] = reasons[code] ?? [code, "correct PARLEY_HOST or PARLEY_PORT."];
  return { where: "PARLEY_HOST", problem: `Cannot listen on ${host} port ${port}: ${reason}.`, fix };
}

function listenError({ host, port }: { host: string; port: number }): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** Whether what listens there answers as Parley's API does to a stranger. */
export async function isParley(listen: { host: string; port: number }): Promise<boolean> {
  try {
    const response = await fetch(`${localUrl(listen)}/v1/status`, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    const type = response.headers.get("content-type") ?? "";
    return response.status === 401 && type.startsWith("application/problem+json");
  } catch {
    return false;
  }
}

async function folderProblem(dataDir: string): Promise<Problem | null> {
  if (!existsSync(dataDir)) return null;
  try {
    await (await holdFolder(dataDir)).release();
    return null;
  } catch (error) {
    return dataDirProblem(dataDir, error);
  }
}

/** A problem for what `holdFolder` refused with, whoever called it. */
export function dataDirProblem(dataDir: string, error: unknown): Problem {
  if (error instanceof FolderHeldError) {
    return {
      where: `PARLEY_DATA_DIR ${dataDir}`,
      problem: `The folder is in use by another Parley (pid ${error.pid}).`,
      fix: "stop that one, or give this one a folder of its own with PARLEY_DATA_DIR.",
    };
  }
  return {
    where: `PARLEY_DATA_DIR ${dataDir}`,
    problem: `The folder cannot be used: ${error instanceof Error ? error.message : String(error)}.`,
    fix: "make it writable for this user, or choose another with PARLEY_DATA_DIR.",
  };
}
