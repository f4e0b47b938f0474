/** `parley doctor`: everything that could stand in the way, one line each, with what to do. */
import type { Command } from "commander";
import { Option } from "commander";
import { type Config, ConfigError, type Role, readConfig, roles } from "../gateway/config/index.ts";
import type { Check } from "../gateway/doctor.ts";
import { examples } from "./command.ts";
import { exitCodes } from "./exit.ts";
import { paint, print, printJson } from "./terminal.ts";

interface DoctorOptions {
  config?: string;
  role: Role;
  live?: boolean;
  json?: boolean;
}

export function addDoctor(program: Command): void {
  const doctor = program
    .command("doctor")
    .description("check everything that Parley needs, and say what to do")
    .option("--config <file>", "settings file (default: parley.yaml here)")
    .addOption(new Option("--role <role>", "check what this role needs").choices(roles).default("all"))
    .option("--live", "also ask the model's provider whether the key works (lists models; costs nothing)")
    .option("--json", "print JSON");
  examples(doctor, ["doctor", "doctor --live", "doctor --json"]);
  doctor.addHelpText(
    "after",
    "\nExit codes: 0 nothing fails, 1 something fails, 2 the configuration is wrong.",
  );
  doctor.action(run);
}

async function run(options: DoctorOptions): Promise<void> {
  const { checkNode, examine } = await import("../gateway/doctor.ts");
  const config = readOrProblems(options);
  const checks = [
    checkNode(),
    ...(config instanceof ConfigError
      ? problemChecks(config)
      : await examine(config, { live: options.live === true })),
  ];
  if (options.json === true) printJson(checks);
  else for (const check of checks) print(checkLine(check));
  if (config instanceof ConfigError) process.exitCode = exitCodes.usage;
  else if (checks.some(({ outcome }) => outcome === "fail")) process.exitCode = exitCodes.failed;
}

function readOrProblems({ config: file, role }: DoctorOptions): Config | ConfigError {
  try {
    return readConfig({ role, overrides: { file } });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

const problemChecks = ({ problems }: ConfigError): Check[] =>
  problems.map(({ where, problem, fix }) => ({ name: where, outcome: "fail", text: problem, fix }));

const colours = { ok: "green", warn: "yellow", fail: "red" } as const;

function checkLine({ name, outcome, text, fix }: Check): string {
  const line = `${paint(colours[outcome], outcome.padEnd(4))}  ${name.padEnd(13)}  ${text}`;
  return fix === null ? line : `${line}\n      ${" ".repeat(13)}  Fix: ${fix}`;
}
