/** `parley threads`: look into conversations, and launch, pause, resume, cancel or fork them. */
import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { z } from "zod";
import { parseEvent, type ThreadEvent } from "../core/events.ts";
import { threadStatuses } from "../core/thread.ts";
import { pageOf, threadSchema } from "./answers.ts";
import { type ApiClient, listAll, withQuery } from "./api-client.ts";
import { connect, examples, type RemoteOptions, remote } from "./command.ts";
import { describeEvent } from "./event-line.ts";
import { wholeNumber } from "./options.ts";
import { fields, localTime, paint, print, printJson, safeLines, table } from "./terminal.ts";

type Thread = z.infer<typeof threadSchema>;
const anyAnswer = z.looseObject({});

export const threadPath = (id: string, rest = ""): string => `/v1/threads/${encodeURIComponent(id)}${rest}`;

export function addThreads(program: Command): void {
  const threads = program.command("threads").description("look into conversations and steer them");
  examples(threads, [
    "threads list --status waiting",
    "threads show 0198c2f0-…",
    'threads send 0198c2f0-… "and now staging"',
    "threads fork 0198c2f0-… --at 12",
  ]);
  remote(threads.command("list", { isDefault: true }).description("the newest threads"))
    .option("--status <status>", `only these: ${threadStatuses.join(", ")}`)
    .option("--agent <name>", "only those of one agent")
    .option("--limit <count>", "most to show", wholeNumber(1, 10_000), 50)
    .action(list);
  remote(threads.command("show <id>").description("one thread with everything that happened in it")).action(
    show,
  );
  remote(threads.command("send <id> <text>").description("write a message into a thread")).action(send);
  for (const verb of ["pause", "resume", "cancel"] as const) {
    remote(threads.command(`${verb} <id>`).description(verbs[verb]))
      .option("--reason <text>", "why, for the log")
      .action((id: string, options: RemoteOptions & { reason?: string }) => steer(id, verb, options));
  }
  remote(threads.command("fork <id>").description("go on from an earlier point, in a new thread"))
    .requiredOption("--at <seq>", "the last event to keep", wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .action(fork);
}

const verbs = {
  pause: "let nothing new begin in a thread",
  resume: "let a paused thread go on",
  cancel: "end what a thread is doing",
};

async function list(
  options: RemoteOptions & { status?: string; agent?: string; limit: number },
): Promise<void> {
  const api = connect(options);
  const { status, agent, limit } = options;
  const threads = await listAll<Thread>(
    (cursor) =>
      api.get(
        withQuery("/v1/threads", { status, agent, limit: Math.min(limit, 100), cursor }),
        pageOf(threadSchema),
      ),
    limit,
  );
  if (options.json === true) return printJson(threads);
  if (threads.length === 0) return print("There are no such threads.");
  print(
    table(threads, [
      { title: "id", of: ({ id }) => id },
      { title: "status", of: statusText },
      { title: "agent", of: ({ agent }) => agent },
      { title: "updated", of: ({ updatedAt }) => localTime(updatedAt) },
      { title: "title", of: ({ title }) => title },
    ]),
  );
}

const statusText = ({ status, waitingFor }: Thread): string =>
  waitingFor.length === 0 ? status : `${status} (${waitingFor.join(", ")})`;

async function show(id: string, options: RemoteOptions): Promise<void> {
  const api = connect(options);
  const thread = await api.get(threadPath(id), threadSchema);
  const events = await allEvents(api, id);
  if (options.json === true) return printJson({ thread, events });
  const home =
    thread.home === null ? "-" : [thread.home.channel, thread.home.account, thread.home.room].join(" ");
  print(
    fields([
      ["thread", thread.id],
      ["title", safeLines(thread.title)],
      ["agent", safeLines(thread.agent)],
      ["status", statusText(thread)],
      ["home", safeLines(home)],
      ["spent", `${thread.spend.tokens} tokens, ${thread.spend.usd.toFixed(4)} USD`],
      ["created", localTime(thread.createdAt)],
    ]),
  );
  print();
  for (const event of events) {
    print(
      `${paint("dim", `${String(event.seq).padStart(4)}  ${localTime(event.at)}`)}  ${describeEvent(event)}`,
    );
  }
}

const eventsPerPage = 500;
const maxEvents = 100_000;
const eventPageSchema = z.looseObject({ items: z.array(z.unknown()) });

/** The whole log, oldest first. */
export async function allEvents(api: ApiClient, id: string): Promise<ThreadEvent[]> {
  const events: ThreadEvent[] = [];
  while (events.length < maxEvents) {
    const after = events.at(-1)?.seq ?? 0;
    const path = withQuery(threadPath(id, "/events"), { after, limit: eventsPerPage });
    const { items } = await api.get(path, eventPageSchema);
    const fresh = items.map((item) => parseEvent(item)).filter(({ seq }) => seq > after);
    if (fresh.length === 0) break;
    events.push(...fresh);
  }
  return events;
}

async function send(id: string, text: string, options: RemoteOptions): Promise<void> {
  const body = { text, idempotencyKey: randomUUID() };
  const answer = await connect(options).post(threadPath(id, "/messages"), body, anyAnswer);
  if (options.json === true) return printJson(answer);
  print(`Sent. "parley threads show ${id}" shows what comes of it.`);
}

const pastTense = { pause: "paused", resume: "resumed", cancel: "cancelled" };

async function steer(
  id: string,
  verb: keyof typeof pastTense,
  options: RemoteOptions & { reason?: string },
): Promise<void> {
  const body = options.reason === undefined ? {} : { reason: options.reason };
  const answer = await connect(options).post(threadPath(id, `/${verb}`), body, anyAnswer);
  if (options.json === true) return printJson(answer);
  print(`The thread is ${pastTense[verb]}.`);
}

async function fork(id: string, options: RemoteOptions & { at: number }): Promise<void> {
  const thread = await connect(options).post(
    threadPath(id, "/fork"),
    { atSeq: options.at },
    z.looseObject({ id: z.string() }),
  );
  if (options.json === true) return printJson(thread);
  print(`The new thread is ${thread.id}.`);
}
