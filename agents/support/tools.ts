/** What the support agent can do: search and read articles, look orders up, and refund them. */
import { z } from "zod";
import { defineTool, type Tool } from "../agent.ts";
import type { Articles } from "./articles.ts";
import { amount, type Ledger } from "./ledger.ts";
import type { Settings } from "./settings.ts";

const timeoutMs = 15_000;
const reading = { effect: "read", approval: null, timeoutMs } as const;
const shownArticles = 3;

const orderId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,39}$/)
  .describe("The order's number, like A-1001.");
const cents = z.number().int().max(1_000_000_000);

export function makeTools(
  settings: Settings,
  { articles, ledger }: { articles: Articles; ledger: Ledger },
): Tool[] {
  return [
    defineTool({
      ...reading,
      name: "search_articles",
      description: "Searches the help articles and gives the best ones with excerpts and their file names.",
      input: z.object({ question: z.string().min(1).max(500).describe("The words that matter.") }),
      run: async ({ question }) => ({
        articles: (await articles.search(question, shownArticles)).map((found) => ({ ...found })),
      }),
    }),
    defineTool({
      ...reading,
      name: "read_article",
      description: "Reads one article in full, by the file name that a search gave.",
      input: z.object({ source: z.string().min(1).max(500) }),
      run: ({ source }) => articles.read(source),
    }),
    defineTool({
      ...reading,
      name: "look_up_order",
      description:
        "Looks an order up: what it was, what was charged, and what can still be refunded, in cents.",
      input: z.object({ orderId }),
      run: async (args) => ({ ...(await ledger.order(args.orderId)) }),
    }),
    defineTool({
      name: "refund",
      description: "Refunds an order, in part or in full. Look the order up first.",
      input: z.object({
        orderId,
        amountCents: cents.min(1).describe("At most what can still be refunded."),
        refundedBeforeCents: cents
          .min(0)
          .describe("refundedCents of the order, exactly as the look-up gave it."),
        reason: z.string().min(1).max(500).describe("Why, in the customer's words."),
      }),
      effect: "keyed",
      // The sum counts, not the single amount: several small refunds are one large one.
      approval: ({ amountCents, refundedBeforeCents }) =>
        amountCents + refundedBeforeCents > settings.refundLimitCents ? settings.refundPolicy : null,
      subject: (args) => args.orderId,
      summary: (args) =>
        `Refund ${amount(args.amountCents)} on order ${args.orderId} (refunded before: ${amount(args.refundedBeforeCents)})`,
      timeoutMs,
      run: async (args, { idempotencyKey, requester }) => ({
        ...(await ledger.refund(args, { key: idempotencyKey, requester })),
      }),
    }),
  ];
}
