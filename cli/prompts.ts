/** `parley prompts`: the prompts as they are in force, and the exact messages that a step was decided by. */
import type { Command } from "commander";
import { z } from "zod";
import { visibleText } from "../core/approval.ts";
import { readConfig } from "../gateway/config/index.ts";
import { connect, examples, type RemoteOptions, remote } from "./command.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { fields, paint, print, printJson, safeLines, table } from "./terminal.ts";
import { allEvents, threadPath } from "./threads.ts";

interface LocalOptions {
  json?: boolean;
  config?: string;
}

export function addPrompts(program: Command): void {
  const prompts = program
    .command("prompts")
    .description("see prompts, and the exact messages sent for a step");
  examples(prompts, ["prompts list", "prompts show deploybot", "prompts messages 0198c2f0-… --step 2"]);
  prompts
    .command("list", { isDefault: true })
    .description("every agent's prompt versions, with weight and hash")
    .option("--config <file>", "settings file (default: parley.yaml here)")
    .option("--json", "print JSON")
    .action(list);
  prompts
    .command("show <agent>")
    .description("the text of an agent's prompt")
    .option("--version-name <name>", "this version (default: every active one)")
    .option("--config <file>", "settings file (default: parley.yaml here)")
    .option("--json", "print JSON")
    .action(show);
  remote(prompts.command("messages <threadId>").description("the exact messages that were sent for a step"))
    .requiredOption("--step <step>", "the step's number in the thread, from 1 on, or its id")
    .action(messages);
}

async function versions(options: LocalOptions) {
  const config = readConfig({ overrides: { file: options.config } });
  const { promptVersions } = await import("../gateway/prompts.ts");
  return promptVersions(config, config.agents.names);
}

async function list(options: LocalOptions): Promise<void> {
  const all = await versions(options);
  if (options.json === true) return printJson(all.map(({ text: _, ...version }) => version));
  print(
    table(all, [
      { title: "agent", of: ({ agent }) => agent },
      { title: "version", of: ({ version }) => version },
      { title: "weight", of: ({ weight }) => (weight === 0 ? "retired" : String(weight)) },
      { title: "hash", of: ({ hash }) => hash.slice(0, 12) },
      { title: "file", of: ({ file }) => file },
    ]),
  );
}

async function show(agent: string, options: LocalOptions & { versionName?: string }): Promise<void> {
  const all = (await versions(options)).filter((version) => version.agent === agent);
  const { versionName } = options;
  const wanted = all.filter(({ version, weight }) =>
    versionName === undefined ? weight > 0 : version === versionName,
  );
  if (wanted.length === 0) {
    const which = versionName === undefined ? "" : ` version "${visibleText(versionName)}" of the`;
    throw new CommandError(
      exitCodes.refused,
      `There is no${which} prompt of an agent "${visibleText(agent)}".`,
    );
  }
  if (options.json === true) return printJson(wanted);
  for (const { version, hash, weight, text } of wanted) {
    print(paint("bold", `${agent} ${version}`) + paint("dim", `  weight ${weight}, sha-256 ${hash}`));
    print(safeLines(text));
  }
}

const sentSchema = z.looseObject({
  messages: z.array(z.looseObject({ role: z.string(), content: z.string() })),
  promptVersion: z.string().nullish(),
  promptHash: z.string().nullish(),
  model: z.string().nullish(),
});

async function messages(threadId: string, options: RemoteOptions & { step: string }): Promise<void> {
  const api = connect(options);
  const stepId = /^\d+$/.test(options.step) ? await idOfStep(Number(options.step)) : options.step;
  const sent = await api.get(threadPath(threadId, `/steps/${encodeURIComponent(stepId)}/prompt`), sentSchema);
  if (options.json === true) return printJson(sent);
  print(
    fields([
      ["step", visibleText(stepId)],
      ["model", visibleText(sent.model ?? "-")],
      ["prompt", `${visibleText(sent.promptVersion ?? "-")}  sha-256 ${visibleText(sent.promptHash ?? "-")}`],
    ]),
  );
  for (const { role, content } of sent.messages)
    print(`\n${paint("bold", `[${visibleText(role)}]`)}\n${safeLines(content)}`);

  async function idOfStep(number: number): Promise<string> {
    const steps = (await allEvents(api, threadId)).flatMap((event) =>
      event.type === "step_decided" ? [event.data.stepId] : [],
    );
    const found = steps[number - 1];
    if (found !== undefined) return found;
    throw new CommandError(
      exitCodes.refused,
      `The thread has ${steps.length} steps; there is no step ${number}.`,
    );
  }
}
