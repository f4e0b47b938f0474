/**
 * deploybot: deploys tags of git repositories and rolls them back, with people's approval where parley.yaml asks for it.
 * Without settings it works on a demo of its own (demo/demo.ts).
 */
import { stat } from "node:fs/promises";
import { type AgentEnvironment, defineAgent } from "../agent.ts";
import { ProblemsError } from "../runtime/problems.ts";
import type { Workshop } from "./carry-out.ts";
import { demoPast, demoSettings, prepareDemo } from "./demo/demo.ts";
import { openDeployments } from "./deployments.ts";
import { type GitPlace, git, gitMissing, readTags } from "./git.ts";
import { offlineScript } from "./offline.ts";
import { parseSettings, type Settings } from "./settings.ts";
import { listEnvironments, makeTools } from "./tools.ts";

const prefetchedTags = 5;

export default defineAgent("deploybot", async (environment) => {
  const isDemo = Object.keys(environment.settings).length === 0;
  const workshop = isDemo ? await openDemo(environment) : await openWorkshop(environment);
  const { settings, deployments } = workshop;
  return {
    description:
      "Deploys services and rolls them back, with approval where it is needed, and tells what runs where.",
    tools: makeTools(workshop),
    limits: { maxSteps: 8 },
    handoffTo: [],
    promptVariables: () => listEnvironments(workshop),
    prefetch: [
      { name: "environments", fetch: async () => listEnvironments(workshop) },
      {
        name: "recent_tags",
        async fetch(signal) {
          const read = Object.keys(settings.services).map(async (service) => {
            const tags = await readTags(await workshop.gitPlace(service), signal);
            return [service, tags.slice(0, prefetchedTags).map((tag) => ({ ...tag }))] as const;
          });
          return Object.fromEntries(await Promise.all(read));
        },
      },
      { name: "running", fetch: async () => (await deployments.running()).map((row) => ({ ...row })) },
    ],
    offline: offlineScript(listEnvironments(workshop)),
  };
});

async function openWorkshop(environment: AgentEnvironment): Promise<Workshop> {
  const settings = parseSettings(environment.settings, environment.configFolder);
  const env = environment.commandEnv;
  await assertRepositories(settings, env);
  return {
    settings,
    deployments: await openDeployments(environment.query),
    folder: environment.configFolder,
    commandEnv: env,
    gitPlace: async (service) => placeOf(settings, service, env),
  };
}

/** A machine without git still starts: the demo's tools then say what is missing, and work once it is there. */
async function openDemo(environment: AgentEnvironment): Promise<Workshop> {
  const env = environment.commandEnv;
  const settings = demoSettings(environment.folder);
  const deployments = await openDeployments(environment.query);
  let prepared: Promise<void> | undefined;
  const prepare = (): Promise<void> => {
    prepared ??= (async () => {
      await prepareDemo(environment.folder, env);
      await deployments.seed(await demoPast(settings, env));
    })();
    prepared.catch(() => {
      prepared = undefined;
    });
    return prepared;
  };
  await prepare().catch((error: unknown) => {
    if (!(error instanceof Error && error.message === gitMissing)) throw error;
  });
  return {
    settings,
    deployments,
    folder: environment.folder,
    commandEnv: env,
    async gitPlace(service) {
      await prepare();
      return placeOf(settings, service, env);
    },
  };
}

function placeOf(settings: Settings, service: string, env: GitPlace["env"]): GitPlace {
  const repository = settings.services[service]?.repository;
  if (repository === undefined) throw new Error(`There is no service ${service}.`);
  return { repository, env };
}

/** @throws {ProblemsError} that lists every service whose repository cannot be read. */
async function assertRepositories(settings: Settings, env: GitPlace["env"]): Promise<void> {
  const found = await Promise.all(
    Object.entries(settings.services).map(async ([service, { repository }]) => {
      const place = `agents.settings.deploybot.services.${service}.repository`;
      const exists = await stat(repository).then(
        (entry) => entry.isDirectory(),
        () => false,
      );
      if (!exists) return [`${place}: there is no folder ${repository}`];
      return git({ repository, env }, ["rev-parse", "--git-dir"]).then(
        () => [],
        (error: Error) => [`${place}: ${error.message}`],
      );
    }),
  );
  const problems = found.flat();
  if (problems.length > 0) throw new ProblemsError(problems);
}
