/**
 * Runs agents' evals against the model and the prompts in use, for `parley eval` and CI. Everything happens on a database
 * of its own in a temporary folder: what an agent prepares at its start touches nothing real, and no tool is run.
 */

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Agent, OfflineStep, OfflineView } from "../agents/agent.ts";
import { type EvalResult, readEvals, runEvals } from "../agents/runtime/evals.ts";
import { readStep } from "../agents/runtime/step-schema.ts";
import { stepRequest } from "../agents/runtime/think.ts";
import { emptyThread, type Run, type ThreadState, type TranscriptItem } from "../core/thread.ts";
import type { Config } from "./config/index.ts";
import { type Foundation, layFoundation } from "./foundation.ts";
import { openModels } from "./models.ts";

export interface AgentEvals {
  agent: string;
  model: string;
  offline: boolean;
  results: EvalResult[];
}

const bundled = fileURLToPath(new URL("../agents", import.meta.url));

/** @param only the agents to run; empty for all that are enabled. Agents without an `evals.yaml` are left out. */
export async function evaluate(config: Config, only: readonly string[]): Promise<AgentEvals[]> {
  const dataDir = await mkdtemp(join(tmpdir(), "parley-eval-"));
  try {
    const own: Config = { ...config, role: "all", dataDir, databaseUrl: null, redisUrl: null };
    const foundation = await layFoundation(own, () => {});
    try {
      return await evaluateAll(foundation, only);
    } finally {
      await foundation.close();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function evaluateAll(
  { config, agents, prompts }: Foundation,
  only: readonly string[],
): Promise<AgentEvals[]> {
  const { primary } = await openModels(config.model, agents);
  const all: AgentEvals[] = [];
  for (const agent of agents.values()) {
    const file = evalsFile(agent.name, config.agents.path);
    if (file === null || (only.length > 0 && !only.includes(agent.name))) continue;
    const decide = async (view: OfflineView): Promise<OfflineStep> => {
      const prompt = prompts.forThread(agent.name, "eval", agent.promptVariables());
      const request = stepRequest(agent, stateOf(agent, view), prompt, agent.limits.contextTokens);
      const timeoutMs = agent.limits.modelTimeoutMs;
      const { output } = await primary.decide(request, { signal: AbortSignal.timeout(timeoutMs), timeoutMs });
      return stepOf(agent, output);
    };
    const results = await runEvals(await readEvals(file), decide);
    all.push({ agent: agent.name, model: primary.name, offline: primary.offline, results });
  }
  return all;
}

function evalsFile(agent: string, ownFolder: string | null): string | null {
  const folders = ownFolder === null ? [bundled] : [ownFolder, bundled];
  return folders.map((folder) => join(folder, agent, "evals.yaml")).find((file) => existsSync(file)) ?? null;
}

/** A thread in the situation that the case describes. */
function stateOf(agent: Agent, { message, since, prefetched }: OfflineView): ThreadState {
  const run: Run = {
    runId: "eval",
    correlationId: "eval",
    steps: since.length,
    tokens: 0,
    usd: 0,
    requesters: ["web:eval"],
    prefetched: { ...prefetched },
  };
  const transcript: TranscriptItem[] = [
    { kind: "message", seq: 1, from: "Eval", text: message },
    ...since.map((happened, index) => itemOf(happened, index + 2)),
  ];
  return { ...emptyThread, seq: transcript.length, agent: agent.name, transcript, run };
}

function itemOf(happened: OfflineView["since"][number], seq: number): TranscriptItem {
  switch (happened.kind) {
    case "result":
    case "failure":
      return { ...happened, seq };
    case "problem":
      return { kind: "problem", seq, text: happened.line };
    case "expired":
      return {
        kind: "approval",
        seq,
        outcome: "expired",
        tool: happened.tool,
        args: happened.args,
        by: "",
        reason: "deny",
      };
    case "rejected":
    case "asked_back": {
      const { kind: outcome, tool, args, by, reason } = happened;
      return { kind: "approval", seq, outcome, tool, args, by, reason };
    }
  }
}

/** @throws {Error} when the model's answer is no step. */
function stepOf(agent: Agent, output: unknown): OfflineStep {
  const read = readStep(agent, output);
  if (!read.ok) throw new Error(read.problem);
  const { intent, reasoning, confidence, choice } = read;
  const said = "text" in choice && choice.text !== null ? { text: choice.text } : {};
  const args = choice.type === "call" ? { args: choice.calls[0]?.args ?? {} } : {};
  return { intent, reasoning, confidence, ...said, ...args };
}
