/** The exact messages that were sent for a step, built again from the log: the context is a pure function of it. */
import type { Agent } from "../agents/agent.ts";
import type { Prompts } from "../agents/runtime/prompts.ts";
import { contextTokensAt, stepRequest } from "../agents/runtime/think.ts";
import type { ThreadEvent } from "../core/events.ts";
import { fold } from "../core/fold.ts";
import type { Step } from "../core/step.ts";
import type { Listing } from "../store/listing.ts";
import type { PromptView } from "./api.ts";

export interface PromptSources {
  listing: Pick<Listing, "events">;
  agents: ReadonlyMap<string, Agent>;
  prompts: Prompts;
}

const pageSize = 200;

/** Null when the thread has no such step, or its agent or prompt version is gone. */
export async function promptFor(
  sources: PromptSources,
  threadId: string,
  stepId: string,
): Promise<PromptView | null> {
  const events: ThreadEvent[] = [];
  for (;;) {
    const page = await sources.listing.events({ threadId, after: events.at(-1)?.seq ?? 0, limit: pageSize });
    if (page === null) return null;
    events.push(...page.events);
    const found = page.events.find((event) => event.type === "step_decided" && event.data.stepId === stepId);
    if (found?.type === "step_decided") return view(sources, found.data, events);
    if (page.events.length < pageSize) return null;
  }
}

/** What came after the step's basis the model did not see. */
function view(
  { agents, prompts }: PromptSources,
  step: Step,
  events: readonly ThreadEvent[],
): PromptView | null {
  const state = fold(events.filter(({ seq }) => seq <= step.basisSeq));
  const agent = agents.get(state.agent);
  const { usage } = step;
  if (agent === undefined || usage === null) return null;
  if (!prompts.versions(agent.name).some(({ version }) => version === usage.promptVersion)) return null;
  const prompt = prompts.exactly(agent.name, usage.promptVersion, agent.promptVariables());
  const maxTokens = contextTokensAt(agent, usage.stage);
  return {
    stepId: step.stepId,
    model: usage.model,
    promptVersion: usage.promptVersion,
    promptHash: usage.promptHash,
    messages: [...stepRequest(agent, state, prompt, maxTokens).messages],
  };
}
