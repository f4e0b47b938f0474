/** `parley eval`: the agents' cases against the model and the prompts in use; without a key, against the stand-in. */
import type { Command } from "commander";
import { readConfig } from "../gateway/config/index.ts";
import type { AgentEvals } from "../gateway/evals.ts";
import { examples } from "./command.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { paint, print, printJson, safeLines } from "./terminal.ts";

export function addEval(program: Command): void {
  const command = program
    .command("eval [agents...]")
    .description("run agents' evals (default: those of all enabled agents); calls the model, runs no tool")
    .option("--config <file>", "settings file (default: parley.yaml here)")
    .option("--json", "print JSON");
  examples(command, ["eval", "eval deploybot", "eval support --json"]);
  command.addHelpText("after", "\nExit codes: 0 every case passed, 1 some did not.");
  command.action(run);
}

async function run(agents: string[], options: { config?: string; json?: boolean }): Promise<void> {
  const config = readConfig({ overrides: { file: options.config } });
  const unknown = agents.find((name) => !config.agents.names.includes(name));
  if (unknown !== undefined) {
    const known = config.agents.names.join(", ");
    throw new CommandError(exitCodes.usage, `There is no agent "${unknown}". There are: ${known}.`);
  }
  const { evaluate } = await import("../gateway/evals.ts");
  const all = await evaluate(config, agents);
  if (options.json === true) printJson(all);
  else all.forEach(printAgent);
  if (all.length === 0) throw new CommandError(exitCodes.failed, "None of these agents has an evals.yaml.");
  if (all.some(({ results }) => results.some(({ passed }) => !passed))) process.exitCode = exitCodes.failed;
}

function printAgent({ agent, model, offline, results }: AgentEvals): void {
  const passed = results.filter((result) => result.passed).length;
  const by = offline ? "the offline stand-in (no model key is set)" : model;
  print(`${paint("bold", agent)}  ${passed} of ${results.length} passed, by ${by}`);
  for (const result of results) {
    print(`  ${result.passed ? paint("green", "ok  ") : paint("red", "fail")}  ${safeLines(result.name)}`);
    for (const miss of result.misses) print(`        ${safeLines(miss)}`);
  }
}
