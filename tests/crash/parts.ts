/** The real parts behind the ports of one process of the harness, as they are composed. */
import type { Tool } from "../../agents/agent.ts";
import type { Channel } from "../../channels/channel.ts";
import type { Doorbell, Model } from "../../core/ports.ts";
import { approvals } from "../../store/approvals.ts";
import { threadLog } from "../../store/log.ts";
import { outbox } from "../../store/outbox.ts";
import type { Database } from "../../store/postgres.ts";
import { sweep } from "../../store/sweep.ts";
import type { Bug } from "./bugs/bug.ts";
import type { Ports } from "./ports.ts";

export interface World {
  model: Model;
  tools: readonly Tool[];
  channels: readonly Channel[];
  doorbell: Doorbell;
}

/** The real parts, changed by a planted bug if there is one. */
export function portsOf(database: Database, world: World, bug: Bug | null): Ports {
  const store = bug?.statements === undefined ? database : withStatements(database, bug.statements);
  const ports: Ports = {
    log: threadLog(store),
    outbox: outbox(store),
    approvals: approvals(store),
    sweep: sweep(store),
    ...world,
  };
  return bug?.change === undefined ? ports : { ...ports, ...bug.change(ports, store) };
}

function withStatements(database: Database, changes: NonNullable<Bug["statements"]>): Database {
  const changed = (statement: { name?: string; text: string }): string => {
    const mine = changes.filter(({ name }) => statement.name?.startsWith(name));
    try {
      return mine.reduce((sql, { from, to }) => replaced(sql, from, to), statement.text);
    } catch (error) {
      console.error(`${statement.name}: ${error}`);
      return process.exit(70);
    }
  };
  return {
    close: () => database.close(),
    run: (statement) => database.run({ ...statement, text: changed(statement) }),
  };
}

/** A bug whose place in the SQL is gone would prove nothing: it has to be planted anew. */
export function replaced(sql: string, from: string | RegExp, to: string): string {
  const text = typeof from === "string" ? sql.replaceAll(from, () => to) : sql.replace(from, to);
  if (text === sql) throw new Error(`a planted bug does not fit the statement any more: ${from}`);
  return text;
}
