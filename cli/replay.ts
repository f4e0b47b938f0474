/**
 * `parley replay`: folds a thread's log once more, here, and compares with what the server holds. The state is nothing but
 * the log, so any difference is a defect of a cache or a snapshot.
 */
import type { Command } from "commander";
import { z } from "zod";
import type { ThreadEvent } from "../core/events.ts";
import { applyEvent, fold } from "../core/fold.ts";
import { canonicalJson } from "../core/json.ts";
import {
  emptyThread,
  type ThreadState,
  threadStateSchema,
  threadStatus,
  waitingFor,
} from "../core/thread.ts";
import type { ApiClient } from "./api-client.ts";
import { connect, examples, type RemoteOptions, remote } from "./command.ts";
import { describeEvent } from "./event-line.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { paint, print, printJson } from "./terminal.ts";
import { allEvents, threadPath } from "./threads.ts";

export function addReplay(program: Command): void {
  const replay = program
    .command("replay <threadId>")
    .description("fold a thread's log again and check that the server's state equals it");
  examples(remote(replay), ["replay 0198c2f0-…", "replay 0198c2f0-… --json"]);
  replay.action(run);
}

async function run(threadId: string, options: RemoteOptions): Promise<void> {
  const api = connect(options);
  const server = await serverState(api, threadId);
  // The thread may go on while we read: what is compared is the log up to the server's position.
  const events = (await allEvents(api, threadId)).filter(({ seq }) => seq <= server.seq);
  const state = fold(events);
  const differences = differingMembers(state, server);
  if (options.json === true)
    printJson({ threadId, events: events.length, equal: differences.length === 0, differences, state });
  else printSteps(events);
  if (differences.length > 0) {
    throw new CommandError(
      exitCodes.failed,
      `The server's state differs from the replayed log in: ${differences.join(", ")}.`,
    );
  }
  if (options.json !== true) print(`\nReplayed ${events.length} events: the server's state equals the log.`);
}

/** Either the state itself or an object that holds it. */
const stateAnswerSchema = z.union([
  threadStateSchema,
  z.looseObject({ state: threadStateSchema }).transform(({ state }) => state),
]);

const serverState = (api: ApiClient, threadId: string): Promise<ThreadState> =>
  api.get(threadPath(threadId, "/state"), stateAnswerSchema);

function differingMembers(mine: ThreadState, theirs: ThreadState): string[] {
  const names = Object.keys(emptyThread) as (keyof ThreadState)[];
  return names.filter((name) => canonicalJson(mine[name]) !== canonicalJson(theirs[name]));
}

function printSteps(events: readonly ThreadEvent[]): void {
  let state = emptyThread;
  for (const event of events) {
    state = applyEvent(state, event);
    const waiting = waitingFor(state);
    const status =
      waiting.length === 0 ? threadStatus(state) : `${threadStatus(state)} (${waiting.join(", ")})`;
    print(`${String(event.seq).padStart(4)}  ${paint("bold", status.padEnd(20))}  ${describeEvent(event)}`);
  }
}
