/**
 * Counts what this process asks of Postgres and Redis, below every layer of ours and of BullMQ: each query and each
 * command is one round trip. What goes on by itself (the sweeper, BullMQ's checks) is left out by name.
 */
import { Redis } from "ioredis";
import pg from "pg";

export interface Counts {
  /** By the statement's name, or its first words. */
  statements: Map<string, number>;
  commands: Map<string, number>;
}

export interface Counting {
  /** What was asked since the last call. */
  take(): Counts;
  end(): void;
}

const byItself = /^(sweep_|moveStalledJobsToWait|listen|begin|set |client|info|extendLock)/i;

export function startCounting(): Counting {
  let counts: Counts = { statements: new Map(), commands: new Map() };
  const { query } = pg.Client.prototype;
  const { sendCommand } = Redis.prototype;
  const count = (of: "statements" | "commands", name: string): void => {
    if (!byItself.test(name)) counts[of].set(name, (counts[of].get(name) ?? 0) + 1);
  };
  pg.Client.prototype.query = function counted(this: pg.Client, ...args: unknown[]) {
    count("statements", nameOf(args[0]));
    return Reflect.apply(query, this, args);
  } as typeof query;
  Redis.prototype.sendCommand = function counted(this: Redis, ...args: Parameters<typeof sendCommand>) {
    count("commands", scriptOf(this, args[0]) ?? args[0].name);
    return Reflect.apply(sendCommand, this, args);
  } as typeof sendCommand;
  return {
    take() {
      const taken = counts;
      counts = { statements: new Map(), commands: new Map() };
      return taken;
    },
    end() {
      pg.Client.prototype.query = query;
      Redis.prototype.sendCommand = sendCommand;
    },
  };
}

/** BullMQ's scripts all arrive as EVALSHA; the connection knows their names. */
function scriptOf({ scriptsSet }: Redis, { args }: { args: unknown[] }): string | undefined {
  const scripts: [string, unknown][] = Object.entries(scriptsSet);
  const isIt = (script: unknown): boolean =>
    typeof script === "object" && script !== null && "sha" in script && script.sha === args[0];
  return scripts.find(([, script]) => isIt(script))?.[0].split(":")[0];
}

/** The beginning of the text is the name where there is no other. */
function nameOf(query: unknown): string {
  if (typeof query === "string") return shortened(query);
  if (typeof query !== "object" || query === null) return "?";
  if ("name" in query && typeof query.name === "string") return query.name;
  return "text" in query && typeof query.text === "string" ? shortened(query.text) : "?";
}

const shortened = (text: string): string => text.replace(/\s+/g, " ").trim().slice(0, 60);
