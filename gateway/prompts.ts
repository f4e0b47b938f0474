/** The prompts of this checkout and of the user's own agents, for commands that look at them without a running server. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promptsFolderName } from "../agents/registry.ts";
import { ProblemsError } from "../agents/runtime/problems.ts";
import { loadPrompts, type PromptVersion } from "../agents/runtime/prompts.ts";
import { type Config, StartError } from "./config/index.ts";

const bundled = fileURLToPath(new URL("../prompts", import.meta.url));

/** Every version of every agent's prompt, agents in the order of their names. @throws {StartError} */
export async function promptVersions(config: Config, agents: readonly string[]): Promise<PromptVersion[]> {
  const own = config.agents.path === null ? [] : [join(config.agents.path, promptsFolderName)];
  try {
    const prompts = await loadPrompts([bundled, ...own.filter((folder) => existsSync(folder))]);
    return agents.flatMap((name) =>
      prompts.versions(name).map(({ agent, version, hash, weight, file, text }) => ({
        agent,
        version,
        hash,
        weight,
        file,
        text,
      })),
    );
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error;
    const fix = "correct the file; docs/agents.md explains it.";
    throw new StartError(error.problems.map((problem) => ({ where: "prompts", problem, fix })));
  }
}
