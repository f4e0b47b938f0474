/** The `parley` command. Each subcommand loads only what it needs, so that `--help` and small commands stay fast. */
import "../bin/lifeline.mjs";
import { Command, CommanderError } from "commander";
import { ParleyError } from "../core/errors.ts";
import { ConfigError, problemList, StartError } from "../gateway/config/index.ts";
import manifest from "../package.json" with { type: "json" };
import { addApprovals } from "./approvals.ts";
import { addChat } from "./chat/command.ts";
import { addDeliveries } from "./deliveries.ts";
import { addDoctor } from "./doctor.ts";
import { addEval } from "./eval.ts";
import { CommandError, type ExitCode, exitCodes } from "./exit.ts";
import { addPrompts } from "./prompts.ts";
import { addReplay } from "./replay.ts";
import { addStart } from "./start.ts";
import { printError } from "./terminal.ts";
import { addThreads } from "./threads.ts";

function buildProgram(): Command {
  const program = new Command("parley")
    .description("Lets people work with software agents where they already are.")
    .version(manifest.version, "-V, --version")
    .showSuggestionAfterError()
    .showHelpAfterError("(add --help for what is possible)")
    .exitOverride()
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 no Parley answers, 4 refused.",
    );
  const add = [
    addStart,
    addChat,
    addDoctor,
    addThreads,
    addApprovals,
    addDeliveries,
    addPrompts,
    addEval,
    addReplay,
  ];
  for (const each of add) each(program);
  return program;
}

/** Says what went wrong, and gives the code to end with. */
function report(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof ConfigError || error instanceof StartError) {
    printError(problemList(error.problems));
    return error instanceof ConfigError ? exitCodes.usage : exitCodes.failed;
  }
  if (error instanceof CommandError) {
    printError(error.message);
    return error.code;
  }
  if (error instanceof ParleyError) printError(`It failed to ${error.operation}: ${error.message}`);
  else printError(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitCodes.failed;
}

/** A reader that has seen enough (`| head`) is no failure. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  throw error;
});

try {
  await buildProgram().parseAsync(process.argv);
} catch (error) {
  process.exitCode = report(error);
}
