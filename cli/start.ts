/**
 * `parley start`: runs Parley in this process until a signal, the end of whoever started it, or its own failure. Start-up
 * problems are told all at once and leave nothing running. A kill at any time is fine: the next start goes on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, Option } from "commander";
import { onOrphaned } from "../bin/lifeline.mjs";
import { type Config, ConfigError, type Role, readConfig, roles } from "../gateway/config/index.ts";
import { examples } from "./command.ts";
import { exitCodes } from "./exit.ts";
import { paint, print, printError } from "./terminal.ts";

/** What runs may finish or release within this time; then the process ends anyway. */
const graceMs = 10_000;

interface StartOptions {
  role: Role;
  config?: string;
  json?: boolean;
}

export function addStart(program: Command): void {
  const start = program
    .command("start")
    .description("run Parley")
    .addOption(new Option("--role <role>", "what this process does").choices(roles).default("all"))
    .option("--config <file>", "settings file (default: parley.yaml here, else the built-in demo)")
    .option("--json", "print JSON lines");
  examples(start, [
    "start",
    "start --config /etc/parley/parley.yaml",
    "start --role gateway    (with DATABASE_URL; and beside it, as often as wanted:)",
    "start --role worker",
  ]);
  start.action(run);
}

async function run(options: StartOptions): Promise<void> {
  const say = options.json === true ? (text: string) => print(JSON.stringify({ message: text })) : print;
  const ending = awaitEnding();
  const config = await configOrAllProblems(options);
  const [{ startParley }, { channelWarnings }] = await Promise.all([
    import("../gateway/start.ts"),
    import("../gateway/channel-warnings.ts"),
  ]);
  for (const warning of [...config.warnings, ...channelWarnings(config)]) {
    say(options.json === true ? warning : paint("yellow", `Warning: ${warning}`));
  }
  const parley = await startParley({ config, role: options.role, print: say });
  if (options.json === true) print(JSON.stringify({ ready: true, url: parley.url, pid: process.pid }));

  let failed = false;
  const finished = parley.finished.catch((error: unknown) => {
    failed = true;
    printError(`Parley stopped by itself: ${error instanceof Error ? error.message : String(error)}`);
  });
  await Promise.race([ending, finished]);
  await stopWithin(() => parley.stop());
  if (failed) process.exitCode = exitCodes.failed;
  // Whatever still holds the event loop was told to stop; it gets a moment and no more.
  setTimeout(() => process.exit(), 1_000).unref();
}

/** With a wrong configuration the port and the folder are checked all the same: one list has everything. */
async function configOrAllProblems({ role, config: file }: StartOptions): Promise<Config> {
  try {
    return readConfig({ role, overrides: { file } });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { preflight } = await import("../gateway/preflight.ts");
    throw new ConfigError([...error.problems, ...(await preflight(error.known))], error.known);
  }
}

/** Resolves at the first signal, or when npm or the launcher above is gone. A second signal ends the process at once. */
function awaitEnding(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const end = (code: number): void => {
      if (asked) process.exit(code);
      asked = true;
      resolve();
    };
    process.on("SIGINT", () => end(130));
    process.on("SIGTERM", () => end(143));
    process.on("SIGHUP", () => end(129));
    onOrphaned(() => end(1));
  });
}

async function stopWithin(stop: () => Promise<void>): Promise<void> {
  const limit = new AbortController();
  const late = sleep(graceMs, "late" as const, { signal: limit.signal }).catch(() => "stopped" as const);
  const outcome = await Promise.race([stop().then(() => "stopped" as const), late]);
  limit.abort();
  if (outcome === "late") {
    printError(
      `Not everything stopped within ${graceMs / 1_000} s; what was under way is taken up by the next start.`,
    );
    process.exit(exitCodes.failed);
  }
}
