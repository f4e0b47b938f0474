/** The worker that bench/pending-approvals.ts measures: alone in its process, so that its memory is its own. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { z } from "zod";
import { defineTool } from "../agents/agent.ts";
import { policySchema } from "../core/approval.ts";
import { instantModel, startBenchWorker } from "./stage.ts";

const deploy = defineTool({
  name: "deploy",
  description: "Deploys.",
  input: z.object({ tag: z.string() }),
  effect: "keyed",
  approval: "people",
  timeoutMs: 1_000,
  run: async () => "deployed",
});

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const worker = await startBenchWorker(process.argv[2] ?? "", null, {
  agent: {
    name: "asker",
    description: "Asks for approval at once.",
    tools: [deploy],
    limits: { maxSteps: 3, contextTokens: 8_000, maxOutputTokens: 100, modelTimeoutMs: 5_000 },
    handoffTo: [],
    promptVariables: () => ({}),
    prefetch: [],
    offline: null,
  },
  model: instantModel({ intent: "deploy", args: { tag: "v1" } }),
  policies: new Map([["people", policySchema.parse({ name: "people" })]]),
  onSend: () => {},
});

process.on("message", (asked) => {
  if (asked !== "memory") return;
  collectGarbage();
  process.send?.({ rssBytes: process.memoryUsage().rss, heapBytes: process.memoryUsage().heapUsed });
});
process.on("disconnect", () => void worker.close().then(() => process.exit()));
process.send?.("ready");
