/**
 * support: answers from a folder of articles with its sources named, refunds from a real ledger, and hands over to a person
 * when it is unsure. Without settings it works for a fictional shop (demo/).
 */
import { join } from "node:path";
import { defineAgent } from "../agent.ts";
import { ProblemsError } from "../runtime/problems.ts";
import { openArticles } from "./articles.ts";
import { seedOrders } from "./demo/orders.ts";
import { amount, openLedger } from "./ledger.ts";
import { offlineScript } from "./offline.ts";
import { createTables } from "./schema.ts";
import { parseSettings } from "./settings.ts";
import { makeTools } from "./tools.ts";

const demoSection = { shop: "Nordlicht Office", articles: join(import.meta.dirname, "demo", "articles") };

export default defineAgent("support", async ({ settings: section, configFolder, query }) => {
  const isDemo = Object.keys(section).length === 0;
  const settings = parseSettings(isDemo ? demoSection : section, configFolder);
  await createTables(query);
  if (isDemo) await seedOrders(query);
  const articles = await openArticles(query, settings, (problems) => {
    throw new ProblemsError(problems.map((problem) => `agents.settings.support.articles: ${problem}`));
  });
  return {
    description:
      "Answers customers from the help articles, looks orders up, refunds them, and hands over to a person.",
    tools: makeTools(settings, { articles, ledger: openLedger(query) }),
    limits: { maxSteps: 8 },
    handoffTo: ["person"],
    promptVariables: () => ({
      shop: settings.shop,
      approval_limit: amount(settings.refundLimitCents),
    }),
    offline: offlineScript(settings),
  };
});
