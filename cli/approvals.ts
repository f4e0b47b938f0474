/** `parley approvals`: see what waits for a decision, and decide it. */
import type { Command } from "commander";
import { z } from "zod";
import { approvalStatuses, visibleText } from "../core/approval.ts";
import type { JsonObject } from "../core/json.ts";
import { type Approval, approvalSchema, pageOf } from "./answers.ts";
import { type ApiClient, listAll, withQuery } from "./api-client.ts";
import { connect, examples, type RemoteOptions, remote } from "./command.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { assignment, jsonArguments } from "./options.ts";
import { argumentFields, fields, localTime, print, printJson, table } from "./terminal.ts";

export type DecisionBody = {
  verdict: "approve" | "reject" | "edit" | "ask_back";
  reason?: string;
  args?: JsonObject;
};

export function addApprovals(program: Command): void {
  const approvals = program.command("approvals").description("see what waits for a decision, and decide it");
  examples(approvals, [
    "approvals list",
    "approvals show K7P2QX",
    "approvals approve K7P2QX",
    'approvals reject K7P2QX --reason "not on a Friday"',
    "approvals edit K7P2QX --set tag=v1.4.3",
    'approvals ask K7P2QX --question "is the migration done?"',
  ]);
  remote(approvals.command("list", { isDefault: true }).description("approvals, newest first"))
    .option("--status <status>", `one of: ${approvalStatuses.join(", ")}, all`, "pending")
    .action(list);
  remote(
    approvals.command("show <id>").description("exactly what would run; <id> is the id or the code"),
  ).action(show);
  remote(approvals.command("approve <id>").description("let it run, once"))
    .option("--reason <text>", "a word to go with it")
    .action((id: string, options: RemoteOptions & { reason?: string }) =>
      decide(id, { verdict: "approve", ...reasonOf(options.reason) }, options),
    );
  remote(approvals.command("reject <id>").description("do not let it run"))
    .requiredOption("--reason <text>", "why; the agent answers to it")
    .action((id: string, options: RemoteOptions & { reason: string }) =>
      decide(id, { verdict: "reject", reason: options.reason }, options),
    );
  remote(approvals.command("edit <id>").description("let it run with other arguments"))
    .option("--set <name=value>", "change one argument; may be repeated", assignment)
    .option("--args <json>", "replace all arguments", jsonArguments)
    .option("--reason <text>", "a word to go with it")
    .action(edit);
  remote(approvals.command("ask <id>").description("ask the requester first; it keeps waiting"))
    .requiredOption("--question <text>", "what to ask")
    .action((id: string, options: RemoteOptions & { question: string }) =>
      decide(id, { verdict: "ask_back", reason: options.question }, options),
    );
}

const reasonOf = (reason: string | undefined): { reason?: string } =>
  reason === undefined ? {} : { reason };

async function approvalsOf(api: ApiClient, status: string): Promise<Approval[]> {
  const wanted = status === "all" ? undefined : status;
  return listAll<Approval>((cursor) =>
    api.get(withQuery("/v1/approvals", { status: wanted, cursor }), pageOf(approvalSchema)),
  );
}

async function list(options: RemoteOptions & { status: string }): Promise<void> {
  if (options.status !== "all" && !approvalStatuses.some((status) => status === options.status)) {
    throw new CommandError(
      exitCodes.usage,
      `There is no status "${options.status}": use ${approvalStatuses.join(", ")} or all.`,
    );
  }
  const approvals = await approvalsOf(connect(options), options.status);
  if (options.json === true) return printJson(approvals);
  if (approvals.length === 0) return print("There are no such approvals.");
  print(
    table(approvals, [
      { title: "code", of: ({ code }) => code },
      { title: "status", of: ({ status }) => status },
      { title: "agent", of: ({ agent }) => agent },
      { title: "asked", of: ({ createdAt }) => localTime(createdAt) },
      { title: "what", of: (approval) => `${approval.tool} ${JSON.stringify(approval.args)}` },
    ]),
  );
}

/** By id, or by the code among those that wait. A code that two of them share decides nothing. */
async function find(api: ApiClient, idOrCode: string): Promise<Approval> {
  const code = idOrCode.toUpperCase();
  const pending = await approvalsOf(api, "pending");
  const waiting = pending.filter((approval) => approval.id === idOrCode || approval.code === code);
  if (waiting.length > 1) {
    throw new CommandError(exitCodes.refused, `Several approvals have the code ${code}: use the id.`);
  }
  const candidates = waiting.length > 0 ? waiting : await approvalsOf(api, "all");
  const found = candidates.find((approval) => approval.id === idOrCode || approval.code === code);
  if (found !== undefined) return found;
  throw new CommandError(exitCodes.refused, `There is no approval "${visibleText(idOrCode)}".`);
}

async function show(idOrCode: string, options: RemoteOptions): Promise<void> {
  const approval = await find(connect(options), idOrCode);
  if (options.json === true) return printJson(approval);
  print(approvalCard(approval));
}

/** What is shown is what runs: nothing is cut, and what hides or reorders text shows as an escape. */
export function approvalCard(approval: Approval): string {
  const { summary, decidedBy, reason, expiresAt } = approval;
  const optional = (name: string, value: string | null): [string, string][] =>
    value === null ? [] : [[name, visibleText(value)]];
  return [
    fields([
      ["approval", `${visibleText(approval.code)}  (${visibleText(approval.id)})`],
      ["status", approval.status],
      ["agent", visibleText(approval.agent)],
      ...optional("summary", summary),
      ["tool", visibleText(approval.tool)],
    ]),
    "arguments",
    argumentFields(approval.args, "  "),
    fields([
      [
        "policy",
        `${visibleText(approval.policy)}, ${approval.approvedBy.length} of ${approval.quorum} agreed`,
      ],
      ["digest", visibleText(approval.digest)],
      ["asked for by", visibleText(approval.requesters.join(", ")) || "-"],
      ...optional("expires", expiresAt === null ? null : localTime(expiresAt)),
      ...optional("decided by", decidedBy),
      ...optional("reason", reason),
      ["thread", visibleText(approval.threadId)],
    ]),
  ].join("\n");
}

async function edit(
  idOrCode: string,
  options: RemoteOptions & { set?: JsonObject; args?: JsonObject; reason?: string },
): Promise<void> {
  if ((options.set === undefined) === (options.args === undefined)) {
    throw new CommandError(exitCodes.usage, "Give either --set name=value or --args JSON.");
  }
  const approval = await find(connect(options), idOrCode);
  const args = options.args ?? { ...approval.args, ...options.set };
  await decide(approval.id, { verdict: "edit", args, ...reasonOf(options.reason) }, options);
}

const told = { approve: "Approved", reject: "Rejected", edit: "Edited and approved", ask_back: "Asked back" };

async function decide(idOrCode: string, body: DecisionBody, options: RemoteOptions): Promise<void> {
  const api = connect(options);
  const approval = await find(api, idOrCode);
  const answer = await postDecision(api, approval.id, body);
  if (options.json === true) return printJson(answer);
  print(`${told[body.verdict]}: ${visibleText(approval.tool)} (${visibleText(approval.code)})`);
  print(argumentFields(body.args ?? approval.args, "  "));
}

/** @throws {CommandError} with code `refused` when it is decided already or not theirs to decide. */
export const postDecision = (api: ApiClient, id: string, body: DecisionBody) =>
  api.post(`/v1/approvals/${encodeURIComponent(id)}/decision`, body, z.looseObject({}));
