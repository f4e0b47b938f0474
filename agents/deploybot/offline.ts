/**
 * Plays the model when there is no key: a few patterns over the newest message, and one fixed way on from each thing that
 * can happen. Pure, so the same log always gives the same steps.
 */
import type { JsonObject } from "../../core/json.ts";
import type { OfflineHappening, OfflineStep, OfflineView } from "../agent.ts";
import { call, fields, gather, items, reply, text } from "../runtime/offline-steps.ts";
import { type Names, type Request, readRequest } from "./offline-request.ts";
import * as words from "./offline-words.ts";

type Result = Extract<OfflineHappening, { kind: "result" }>;

/** The runtime takes four calls side by side at most. */
const maxGathered = 4;

export function offlineScript(listed: { services: string[]; environments: { name: string }[] }) {
  const names: Names = {
    services: listed.services,
    environments: listed.environments.map(({ name }) => name),
  };
  return (view: OfflineView): OfflineStep => {
    const request = readRequest(view.message, names);
    const last = view.since.at(-1);
    switch (last?.kind) {
      case undefined:
        return begin(request, names);
      case "result":
        return afterResult(last, request, view.since);
      case "failure":
        return reply(words.failed(last.error));
      case "rejected":
        return reply(words.rejected(last, view.prefetched.recent_tags));
      case "expired":
        return reply(words.expired(last.args));
      case "asked_back":
        return reply(words.askedBack(last, view.since));
      case "problem":
        return reply(words.problem(last.line));
    }
  };
}

function begin(request: Request, names: Names): OfflineStep {
  switch (request.kind) {
    case "deploy":
      return call("find_tag", { service: request.service, tag: request.tag });
    case "roll_back":
      return call("deployment_status", { service: request.service, environment: request.environment });
    case "status":
      return sideBySide("deployment_status", request.places);
    case "tags":
      return sideBySide(
        "list_tags",
        request.services.map((service) => ({ service, limit: 10 })),
      );
    case "environments":
      return call("list_environments", {});
    case "unclear":
      return reply(request.hint);
    case "thanks":
      return reply("You are welcome.");
    case "unknown":
      return reply(words.abilities(names));
  }
}

function sideBySide(tool: string, argsOfEach: JsonObject[]): OfflineStep {
  const calls = argsOfEach.slice(0, maxGathered).map((args) => ({ tool, args }));
  const [first, second] = calls;
  return first !== undefined && second === undefined ? call(tool, first.args) : gather(calls);
}

function afterResult(last: Result, request: Request, since: readonly OfflineHappening[]): OfflineStep {
  const result = fields(last.result);
  const all = since.flatMap((item) =>
    item.kind === "result" && item.tool === last.tool ? [fields(item.result)] : [],
  );
  switch (last.tool) {
    case "find_tag":
      if (request.kind !== "deploy") return reply(words.tags([{ ...result, tags: [result] }]));
      return call("deploy", {
        service: request.service,
        environment: request.environment,
        tag: text(result.tag),
        commit: text(result.commit),
      });
    case "deployment_status":
      return request.kind === "roll_back" ? rollBack(request, result) : reply(words.status(all));
    case "list_tags":
      return reply(words.tags(all));
    case "list_environments":
      return reply(words.environments(result));
    default:
      return reply(words.carriedOut(last.tool, last.args, { result: last.result, asked: request }));
  }
}

function rollBack(request: Extract<Request, { kind: "roll_back" }>, status: JsonObject): OfflineStep {
  const { service, environment, tag } = request;
  const target =
    tag === null
      ? fields(status.previous)
      : (items(status.history).find((ran) => ran.tag === tag && ran.status === "succeeded") ?? {});
  return target.tag === undefined
    ? reply(words.nothingBefore({ service, environment }, tag))
    : call("roll_back", { service, environment, tag: text(target.tag), commit: text(target.commit) });
}
