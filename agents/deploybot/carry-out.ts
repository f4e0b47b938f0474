/**
 * Carries out one deployment or rollback that was decided: takes the place in the record, checks that the tag still names
 * the commit that was approved, runs the command, writes down how it ended.
 *
 * After a crash the same key comes again. If the first attempt ended, its result counts and nothing runs; otherwise the
 * command runs again and is told the same key.
 */
import type { JsonObject } from "../../core/json.ts";
import type { ToolContext } from "../agent.ts";
import { runCommand } from "./command.ts";
import type { Deployment, Deployments, Target } from "./deployments.ts";
import { findTag, type GitPlace } from "./git.ts";
import type { Environment, Placeholder, Settings } from "./settings.ts";

export interface Workshop {
  settings: Settings;
  deployments: Deployments;
  /** Where commands run and relative programs are looked for. */
  folder: string;
  commandEnv: Readonly<Record<string, string>>;
  /** Makes sure that there is a repository to read. */
  gitPlace(service: string): Promise<GitPlace>;
}

type Action = Deployment["action"];

const maxShownCharacters = 2_000;
/** What starting, stopping and writing down may take beyond the command itself. */
export const overheadMs = 20_000;

/** @throws {Error} with a plain sentence when it was not done, or failed. */
export async function carryOut(
  workshop: Workshop,
  action: Action,
  target: Target,
  context: ToolContext,
): Promise<JsonObject> {
  const { settings, deployments } = workshop;
  const attempt = {
    ...target,
    action,
    key: context.idempotencyKey,
    requester: context.requester,
    threadId: context.threadId,
    staleAfterMs: settings.timeoutMs + overheadMs,
  };
  const { done } = await deployments.begin(attempt);
  if (done !== null) return outcome(action, target, done);
  const ended = await runAttempt(workshop, action, target, context);
  await deployments.end(context.idempotencyKey, ended);
  return outcome(action, target, ended);
}

/** An approval covers a commit. When the tag was moved since, what would run is not what people saw. */
async function assertPinned(place: GitPlace, target: Target, signal: AbortSignal): Promise<void> {
  const { commit } = await findTag(place, target.service, target.tag, signal);
  if (commit !== target.commit) {
    throw new Error(
      `The tag ${target.tag} of ${target.service} names the commit ${commit.slice(0, 12)}, not ${target.commit.slice(0, 12)}. Nothing was run.`,
    );
  }
}

type End = Pick<Deployment, "status" | "output" | "error" | "durationMs">;

async function runAttempt(
  workshop: Workshop,
  action: Action,
  target: Target,
  context: ToolContext,
): Promise<End> {
  const environment = workshop.settings.environments[target.environment];
  if (environment === undefined) throw new Error(`There is no environment ${target.environment}.`);
  const { timeoutMs } = workshop.settings;
  try {
    const place = await workshop.gitPlace(target.service);
    await assertPinned(place, target, context.signal);
    const end = await runCommand({
      argv: fill(template(environment, action), { ...target, repository: place.repository }),
      cwd: workshop.folder,
      env: { ...workshop.commandEnv, ...variables(action, target, environment, context) },
      timeoutMs,
      signal: context.signal,
    });
    const { output, durationMs } = end;
    if (end.stopped === "aborted")
      return { status: "stopped", output, durationMs, error: "It was stopped before it ended." };
    if (end.stopped === "timeout")
      return {
        status: "failed",
        output,
        durationMs,
        error: `It took longer than ${timeoutMs / 1000} s and was stopped.`,
      };
    if (end.exitCode === 0) return { status: "succeeded", output, durationMs, error: "" };
    const how = end.exitCode === null ? "was ended by a signal" : `ended with exit code ${end.exitCode}`;
    const said = output.trim().split("\n").at(-1) ?? "";
    return {
      status: "failed",
      output,
      durationMs,
      error: `The command ${how}${said === "" ? "." : `: ${said}`}`,
    };
  } catch (error) {
    return {
      status: "failed",
      output: "",
      durationMs: 0,
      error: error instanceof Error ? error.message : String(error),
    };
  }
}

const template = ({ command, rollback }: Environment, action: Action): string[] =>
  action === "roll_back" ? (rollback ?? command) : command;

/** Each placeholder is a whole argument, so its value stays one argument whatever is in it. */
const fill = (argv: readonly string[], values: Record<Placeholder, string>): string[] =>
  argv.map((argument) => {
    const [, name] = /^\{(\w+)\}$/.exec(argument) ?? [];
    return name === undefined ? argument : values[name as Placeholder];
  });

const variables = (action: Action, target: Target, environment: Environment, context: ToolContext) => ({
  PARLEY_ACTION: action,
  PARLEY_SERVICE: target.service,
  PARLEY_TAG: target.tag,
  PARLEY_COMMIT: target.commit,
  PARLEY_ENVIRONMENT: target.environment,
  PARLEY_IDEMPOTENCY_KEY: context.idempotencyKey,
  PARLEY_ATTEMPT: String(context.attempt),
  PARLEY_REQUESTER: context.requester.replaceAll("\0", ""),
  PARLEY_THREAD_ID: context.threadId,
  // The runtime runs a call that needs approval only once it has it.
  PARLEY_APPROVED: environment.approval === null ? "0" : "1",
  PARLEY_APPROVAL_POLICY: environment.approval ?? "",
});

function outcome(action: Action, target: Target, end: End): JsonObject {
  const verb = action === "deploy" ? "Deploying" : "Rolling back to";
  if (end.status !== "succeeded") {
    throw new Error(`${verb} ${target.service} ${target.tag} in ${target.environment} failed. ${end.error}`);
  }
  return {
    outcome: "succeeded",
    ...target,
    durationMs: end.durationMs,
    output: end.output.slice(-maxShownCharacters),
  };
}
