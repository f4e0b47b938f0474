/** What deploybot's stand-in says. Pure. */
import type { Json, JsonObject } from "../../core/json.ts";
import type { OfflineHappening } from "../agent.ts";
import { fields, items, text } from "../runtime/offline-steps.ts";
import type { Names, Request } from "./offline-request.ts";

type Refusal = Extract<OfflineHappening, { kind: "rejected" | "asked_back" }>;

export const abilities = ({ services, environments }: Names): string =>
  [
    "I deploy services, roll them back, and tell what runs where. Try one of these:",
    `- deploy ${services[0]} v1.4.2 to ${environments.at(-1)}`,
    `- roll back ${services[0]} in ${environments.at(-1)}`,
    "- status, tags, or environments",
  ].join("\n");

export function rejected({ tool, args, reason, by }: Refusal, recentTags: Json | undefined): string {
  const said = reason === "" ? `${by} said no` : `${by} said “${reason}”`;
  const other = otherTag(reason, args, recentTags);
  const service = text(args.service);
  const next =
    other === null
      ? "Tell me which version you would rather have, or ask again when the reason no longer holds."
      : `Shall I ask for ${other} instead? Write “deploy ${service} ${other} to ${text(args.environment)}”.`;
  return `${tool === "deploy" ? "Not deployed" : "Not rolled back"}: ${said}. ${next}`;
}

/** A known tag that the reason names, other than the one that was refused. */
function otherTag(reason: string, args: JsonObject, recentTags: Json | undefined): string | null {
  const known = items(fields(recentTags)[text(args.service)]).map(({ tag }) => text(tag));
  const words = reason.split(/[\s,;:!?"'“”()]+/).map((word) => word.replace(/\.$/, ""));
  return (
    known.find((tag) => tag !== args.tag && (words.includes(tag) || words.includes(tag.replace(/^v/, "")))) ??
    null
  );
}

export const expired = (args: JsonObject): string =>
  `Nobody decided in time, so ${what(args)} was left alone. Ask again when somebody can approve it.`;

export function askedBack({ tool, args, reason, by }: Refusal, since: readonly OfflineHappening[]): string {
  const found = since.flatMap((happening) =>
    happening.kind === "result" && happening.tool === "find_tag" ? [fields(happening.result)] : [],
  )[0];
  const facts = [
    `${tool === "deploy" ? "It would deploy" : "It would roll back to"} ${text(args.tag)} of ${text(args.service)} in ${text(args.environment)}, commit ${short(args.commit)}.`,
    ...(found === undefined
      ? []
      : [`The commit is of ${text(found.committedAt).slice(0, 10)}: “${text(found.subject)}”.`]),
  ];
  return `${by} asks: “${reason}” Here is what I know. ${facts.join(" ")} Whoever asked for it may add to this; the approval stays open.`;
}

export function carriedOut(
  tool: string,
  args: JsonObject,
  { result, asked }: { result: Json; asked: Request },
): string {
  const verb = tool === "deploy" ? "Deployed" : "Rolled back to";
  const place = `${text(args.environment)}`;
  const changed =
    "tag" in asked && asked.tag !== null && asked.tag !== args.tag
      ? ` The approval changed it from ${asked.tag}.`
      : "";
  if (typeof result === "string")
    return `${verb} ${text(args.service)} ${text(args.tag)} in ${place}. ${result}`;
  const printed = text(fields(result).output).trim();
  const output = printed === "" ? "" : `\n\n\`\`\`\n${printed.replaceAll("```", "'''")}\n\`\`\``;
  return `${verb} ${text(args.service)} ${text(args.tag)} (${short(args.commit)}) in ${place}.${changed}${output}`;
}

export const failed = (error: string): string => `That did not work: ${error}`;

export const problem = (line: string): string => `I could not go on: ${line}`;

export const nothingBefore = (args: JsonObject, tag: string | null): string =>
  tag === null
    ? `Nothing ran before the current version of ${text(args.service)} in ${text(args.environment)}, so there is nothing to go back to.`
    : `${text(args.service)} ${tag} has not run in ${text(args.environment)}, so I cannot go back to it. Deploy it instead.`;

export function status(reports: readonly JsonObject[]): string {
  const lines = reports.map((report) => {
    const current = fields(report.current);
    const previous = fields(report.previous);
    const place = `${text(report.service)} in ${text(report.environment)}`;
    if (current.tag === undefined) return `- ${place}: nothing was deployed yet`;
    const before = previous.tag === undefined ? "" : `, before that ${text(previous.tag)}`;
    return `- ${place}: ${text(current.tag)} (${short(current.commit)}) since ${minute(current.startedAt)}${before}`;
  });
  return ["What runs:", ...lines].join("\n");
}

export function tags(lists: readonly JsonObject[]): string {
  return lists
    .map((list) => {
      const lines = items(list.tags).map(
        (tag) =>
          `- ${text(tag.tag)} (${short(tag.commit)}, ${text(tag.committedAt).slice(0, 10)}) ${text(tag.subject)}`,
      );
      return [`The newest tags of ${text(list.service)}:`, ...lines].join("\n");
    })
    .join("\n\n");
}

export function environments(list: JsonObject): string {
  const services = Array.isArray(list.services) ? list.services.map(text).join(", ") : "";
  const lines = items(list.environments).map(({ name, approval }) =>
    approval === null
      ? `- ${text(name)}: no approval needed`
      : `- ${text(name)}: people approve first (${text(approval)})`,
  );
  return [`Services: ${services}.`, "Environments:", ...lines].join("\n");
}

const what = (args: JsonObject): string =>
  `${text(args.service)} ${text(args.tag)} in ${text(args.environment)}`;
const short = (commit: Json | undefined): string => text(commit).slice(0, 12);
const minute = (at: Json | undefined): string => text(at).slice(0, 16).replace("T", " ");
