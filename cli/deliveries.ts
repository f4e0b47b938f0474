/** `parley deliveries`: outbound messages, and what to do with those that a platform did not take. */
import { Argument, type Command, Option } from "commander";
import { z } from "zod";
import { deliverySchema, pageOf } from "./answers.ts";
import { listAll, withQuery } from "./api-client.ts";
import { connect, examples, type RemoteOptions, remote } from "./command.ts";
import { wholeNumber } from "./options.ts";
import { localTime, print, printJson, table } from "./terminal.ts";

const statuses = ["pending", "sending", "sent", "uncertain", "failed"];

export function addDeliveries(program: Command): void {
  const deliveries = program
    .command("deliveries")
    .description("see outbound messages; retry or settle those that failed");
  examples(deliveries, [
    "deliveries list --status uncertain",
    "deliveries retry 0198c2f0-…",
    'deliveries settle 0198c2f0-… sent --note "seen in the channel"',
  ]);
  remote(deliveries.command("list", { isDefault: true }).description("deliveries, newest first"))
    .addOption(new Option("--status <status>", "only these").choices(statuses))
    .option("--limit <count>", "most to show", wholeNumber(1, 10_000), 50)
    .action(list);
  remote(
    deliveries.command("retry <id>").description("put a failed or uncertain message back in line"),
  ).action(retry);
  remote(deliveries.command("settle <id>").description("say what became of an uncertain or failed message"))
    .addArgument(new Argument("<outcome>", "what became of it").choices(["sent", "failed"]))
    .requiredOption("--note <text>", "how you know")
    .action(settle);
}

async function list(options: RemoteOptions & { status?: string; limit: number }): Promise<void> {
  const api = connect(options);
  const { status, limit } = options;
  const deliveries = await listAll<z.infer<typeof deliverySchema>>(
    (cursor) =>
      api.get(
        withQuery("/v1/deliveries", { status, limit: Math.min(limit, 100), cursor }),
        pageOf(deliverySchema),
      ),
    limit,
  );
  if (options.json === true) return printJson(deliveries);
  if (deliveries.length === 0) return print("There are no such deliveries.");
  print(
    table(deliveries, [
      { title: "id", of: ({ id }) => id },
      { title: "status", of: ({ status }) => status },
      { title: "kind", of: ({ kind }) => kind },
      { title: "to", of: ({ binding }) => `${binding.channel} ${binding.room}` },
      { title: "attempts", of: ({ attempts }) => String(attempts) },
      { title: "updated", of: ({ updatedAt }) => localTime(updatedAt) },
      { title: "error", of: ({ error }) => error ?? "" },
    ]),
  );
}

const deliveryPath = (id: string, verb: string): string => `/v1/deliveries/${encodeURIComponent(id)}/${verb}`;

async function retry(id: string, options: RemoteOptions): Promise<void> {
  const answer = await connect(options).post(deliveryPath(id, "retry"), {}, z.looseObject({}));
  if (options.json === true) return printJson(answer);
  print("It is back in line.");
}

async function settle(id: string, outcome: string, options: RemoteOptions & { note: string }): Promise<void> {
  const body = { outcome, note: options.note };
  const answer = await connect(options).post(deliveryPath(id, "settle"), body, z.looseObject({}));
  if (options.json === true) return printJson(answer);
  print(`Settled as ${outcome}.`);
}
