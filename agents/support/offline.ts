/**
 * Plays the model when there is no key: a few patterns over the newest message, and one fixed way on from each thing that
 * can happen. Pure, so the same log always gives the same steps.
 */
import type { JsonObject } from "../../core/json.ts";
import type { OfflineHappening, OfflineStep, OfflineView } from "../agent.ts";
import { call, fields, handoff, items, number, reply, text } from "../runtime/offline-steps.ts";
import { amount, formatMoney } from "./ledger.ts";
import { type Request, readRequest } from "./offline-request.ts";

/** Below this share of the question's words an article is not taken for an answer. */
const sureCoverage = 0.5;
/** A longer article is answered from its excerpt. */
const wholeArticleCharacters = 1_200;

export const offlineScript =
  ({ shop }: { shop: string }) =>
  (view: OfflineView): OfflineStep => {
    const request = readRequest(view.message);
    const last = view.since.at(-1);
    switch (last?.kind) {
      case undefined:
        return begin(request, shop);
      case "result":
        return afterResult(last, request, view.since);
      case "failure":
        return reply(`That did not work: ${last.error}`);
      case "rejected":
        return reply(
          `Order ${text(last.args.orderId)} was not refunded: ${last.by} said “${last.reason}”. Write “talk to a person” if you would like to discuss it.`,
        );
      case "expired":
        return reply(
          `Nobody decided on the refund of order ${text(last.args.orderId)} in time. Ask again, or write “talk to a person”.`,
        );
      case "asked_back":
        return reply(askedBack(last));
      case "problem":
        return handoff(
          "person",
          "The stand-in could not go on.",
          `I could not go on (${last.line}), so I am asking a person to help.`,
        );
    }
  };

function begin(request: Request, shop: string): OfflineStep {
  switch (request.kind) {
    case "person":
      return handoff(
        "person",
        "The customer asked for a person.",
        "I am handing you over to a person, who will answer here.",
      );
    case "refund":
    case "order":
      return call("look_up_order", { orderId: request.orderId });
    case "which_order":
      return reply("Which order is it? Please write its number, for example “refund A-1001”.");
    case "thanks":
      return reply("You are welcome.");
    case "hello":
      return reply(
        `I answer questions about ${shop} from its help articles, look orders up and refund them. Ask something like “How long does shipping take?”, write “refund A-1001”, or “talk to a person”.`,
      );
    case "question":
      return call("search_articles", { question: request.question });
  }
}

type Result = Extract<OfflineHappening, { kind: "result" }>;

function afterResult(last: Result, request: Request, since: readonly OfflineHappening[]): OfflineStep {
  const result = fields(last.result);
  switch (last.tool) {
    case "search_articles":
      return afterSearch(items(result.articles));
    case "read_article":
      return reply(answer(result, since));
    case "look_up_order":
      return request.kind === "refund" ? refund(result, request) : reply(describe(result));
    case "refund":
      return reply(refunded(last));
    default:
      return reply("Done.");
  }
}

function afterSearch(articles: JsonObject[]): OfflineStep {
  const [best] = articles;
  if (best === undefined || number(best.coverage) < sureCoverage) {
    return handoff(
      "person",
      "No article answers the question.",
      "I found no article that answers this, so I am handing you over to a person, who will answer here.",
    );
  }
  return call("read_article", { source: text(best.source) });
}

function answer(article: JsonObject, since: readonly OfflineHappening[]): string {
  const body = text(article.text)
    .replace(/^#\s.*$/m, "")
    .trim();
  const found = since.flatMap((item) =>
    item.kind === "result" && item.tool === "search_articles" ? items(fields(item.result).articles) : [],
  );
  const excerpt = text(found.find(({ source }) => source === article.source)?.excerpt);
  const said =
    body.length <= wholeArticleCharacters || excerpt === "" ? body.slice(0, wholeArticleCharacters) : excerpt;
  return `${said}\n\nSources: ${text(article.source)}`;
}

function refund(order: JsonObject, request: Extract<Request, { kind: "refund" }>): OfflineStep {
  const refundable = number(order.refundableCents);
  const currency = text(order.currency);
  if (refundable === 0) return reply(`Order ${text(order.orderId)} has been refunded in full already.`);
  const amountCents = request.amountCents ?? refundable;
  if (amountCents > refundable) {
    return reply(
      `${formatMoney(amountCents, currency)} is more than the ${formatMoney(refundable, currency)} that can still be refunded on order ${text(order.orderId)}.`,
    );
  }
  return call("refund", {
    orderId: text(order.orderId),
    amountCents,
    refundedBeforeCents: number(order.refundedCents),
    reason: request.reason,
  });
}

function describe(order: JsonObject): string {
  const money = (value: JsonObject[string] | undefined): string =>
    formatMoney(number(value), text(order.currency));
  const back =
    number(order.refundedCents) === 0
      ? "Nothing of it was refunded."
      : `${money(order.refundedCents)} of it was refunded.`;
  return `Order ${text(order.orderId)}: ${text(order.item)}, placed on ${text(order.placedOn)}, ${money(order.chargedCents)}. ${back}`;
}

function refunded(last: Result): string {
  const orderId = text(last.args.orderId);
  if (typeof last.result === "string") return `Order ${orderId} was refunded. ${last.result}`;
  const result = fields(last.result);
  const currency = text(result.currency);
  const left = number(result.refundableCents);
  const rest = left === 0 ? "That is all of it." : `${formatMoney(left, currency)} remain.`;
  return `Refunded ${formatMoney(number(result.amountCents), currency)} on order ${orderId}. ${rest}`;
}

function askedBack({ args, reason, by }: Extract<OfflineHappening, { kind: "asked_back" }>): string {
  const before = number(args.refundedBeforeCents);
  const sum =
    before === 0 ? "Nothing was refunded on it before." : `${amount(before)} was refunded on it before.`;
  return `${by} asks: “${reason}” What I know: ${amount(number(args.amountCents))} on order ${text(args.orderId)}, because “${text(args.reason)}”. ${sum} Whoever asked for it may add to this; the approval stays open.`;
}
