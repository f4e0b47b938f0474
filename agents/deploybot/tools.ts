/** What deploybot can do: four ways to look, and two that people may have to approve. */
import { z } from "zod";
import type { Json } from "../../core/json.ts";
import { defineTool, type Tool } from "../agent.ts";
import { carryOut, overheadMs, type Workshop } from "./carry-out.ts";
import { standing, type Target } from "./deployments.ts";
import { commitPattern, findTag, readTags, tagPattern } from "./git.ts";

const lookTimeoutMs = 15_000;
const historyLimit = 50;
const shownHistory = 10;

export function makeTools(workshop: Workshop): Tool[] {
  const { settings } = workshop;
  const service = z.enum(names(settings.services)).describe("The service's name.");
  const environment = z.enum(names(settings.environments)).describe("The environment's name.");
  const tag = z
    .string()
    .regex(tagPattern)
    .describe("The tag exactly as it is in the repository, like v1.4.2.");
  const commit = z
    .string()
    .regex(commitPattern)
    .describe("The full commit id that the tag names, as a tool gave it.");
  const target = z.object({ service, environment, tag, commit });
  const approval = (args: { environment: string }): string | null =>
    settings.environments[args.environment]?.approval ?? null;
  const acting = {
    input: target,
    // A command that does not honour the key must not run twice: then a person says what happened after a crash.
    effect: settings.commandsHonourKey ? "keyed" : "once",
    approval,
    subject: (args: { service: string; environment: string }) => `${args.service}:${args.environment}`,
    timeoutMs: settings.timeoutMs + overheadMs,
  } as const;
  return [
    defineTool({
      ...reading,
      name: "list_environments",
      description: "Lists the services, and the environments with the approval that each needs.",
      input: z.object({}),
      run: async () => listEnvironments(workshop),
    }),
    defineTool({
      ...reading,
      name: "list_tags",
      description: "Lists the newest tags of a service with their commits.",
      input: z.object({ service, limit: z.number().int().min(1).max(50).describe("How many, usually 10.") }),
      async run(args, { signal }) {
        const tags = await readTags(await workshop.gitPlace(args.service), signal);
        return {
          service: args.service,
          total: tags.length,
          tags: tags.slice(0, args.limit).map((found) => ({ ...found })),
        };
      },
    }),
    defineTool({
      ...reading,
      name: "find_tag",
      description:
        "Looks one tag up in a service's repository and gives the commit it names. Fails with the nearest tags when there is none.",
      input: z.object({ service, tag }),
      run: async (args, { signal }) => ({
        service: args.service,
        ...(await findTag(await workshop.gitPlace(args.service), args.service, args.tag, signal)),
      }),
    }),
    defineTool({
      ...reading,
      name: "deployment_status",
      description:
        "Tells what runs in an environment, what ran before it (where a rollback goes), and the latest attempts.",
      input: z.object({ service, environment }),
      async run(args) {
        const history = await workshop.deployments.history(args.service, args.environment, historyLimit);
        // What a command printed long ago only fills the context.
        const rows = history.map((row) => ({ ...row, output: "" }));
        const { current, previous } = standing(rows);
        return { ...args, current, previous, history: rows.slice(0, shownHistory) } satisfies Record<
          string,
          Json
        >;
      },
    }),
    defineTool({
      ...acting,
      name: "deploy",
      description: "Deploys the commit that a tag names to an environment. Look the tag up first.",
      summary: (args) =>
        `Deploy ${args.service} ${args.tag} (${args.commit.slice(0, 12)}) to ${args.environment}`,
      run: (args, context) => carryOut(workshop, "deploy", args, context),
    }),
    defineTool({
      ...acting,
      name: "roll_back",
      description:
        "Goes back to a version that ran in this environment before. Read deployment_status first.",
      summary: (args) =>
        `Roll back ${args.service} in ${args.environment} to ${args.tag} (${args.commit.slice(0, 12)})`,
      async run(args, context) {
        await assertRanBefore(workshop, args);
        return carryOut(workshop, "roll_back", args, context);
      },
    }),
  ];
}

const reading = { effect: "read", approval: null, timeoutMs: lookTimeoutMs } as const;

const names = (section: object): [string, ...string[]] => Object.keys(section) as [string, ...string[]];

export const listEnvironments = ({ settings }: Workshop) => ({
  services: Object.keys(settings.services),
  environments: Object.entries(settings.environments).map(([name, { approval }]) => ({ name, approval })),
});

async function assertRanBefore({ deployments }: Workshop, target: Target): Promise<void> {
  const history = await deployments.history(target.service, target.environment, historyLimit);
  const ran = history.some(
    ({ status, tag, commit }) => status === "succeeded" && tag === target.tag && commit === target.commit,
  );
  if (ran) return;
  const { previous } = standing(history);
  const hint =
    previous === null ? "Nothing ran there before." : `Before the current version it was ${previous.tag}.`;
  throw new Error(`${target.service} ${target.tag} has never run in ${target.environment}. ${hint}`);
}
