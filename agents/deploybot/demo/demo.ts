/**
 * What deploybot works on when parley.yaml says nothing: two real git repositories and a deploy script, in a folder of its
 * own. It is built aside and renamed into place, so it is there whole or not at all, whoever is killed meanwhile.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Target } from "../deployments.ts";
import { type GitPlace, git, gitMissing, readTags } from "../git.ts";
import type { Settings } from "../settings.ts";
import { demoHistory, demoServices } from "./history.ts";

const demoFolderName = "demo";
const draftPrefix = ".demo-";
const draftLifeMs = 10 * 60_000;
const importTimeoutMs = 20_000;

const script = (folder: string): string => join(folder, demoFolderName, "deploy.sh");

export function demoSettings(folder: string): Settings {
  const releases = join(folder, demoFolderName, "releases");
  const command = (action: string): string[] => [
    script(folder),
    action,
    "{service}",
    "{tag}",
    "{environment}",
    "{repository}",
    releases,
  ];
  const commands = { command: command("deploy"), rollback: command("roll-back") };
  return {
    services: Object.fromEntries(
      demoServices.map((service) => [service, { repository: join(folder, demoFolderName, service) }]),
    ),
    environments: {
      staging: { ...commands, approval: null },
      production: { ...commands, approval: "production-deploys" },
    },
    timeoutMs: 60_000,
    commandsHonourKey: true,
  };
}

/**
 * Builds the demo unless it is there. Safe to repeat and to run in several workers at once.
 * @throws {Error} with the message `gitMissing` when there is no git.
 */
export async function prepareDemo(folder: string, env: GitPlace["env"]): Promise<void> {
  const place = join(folder, demoFolderName);
  if (await exists(place)) return;
  await sweepDrafts(folder);
  const draft = join(folder, `${draftPrefix}${randomBytes(6).toString("hex")}`);
  await mkdir(join(draft, "releases"), { recursive: true });
  try {
    for (const service of demoServices) await buildRepository(join(draft, service), service, env);
    await copyFile(join(import.meta.dirname, "deploy.sh"), join(draft, "deploy.sh"));
    await chmod(join(draft, "deploy.sh"), 0o755);
    await rename(draft, place);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another worker was faster: its demo is the same.
    if (!(await exists(place))) throw error;
  }
}

async function buildRepository(repository: string, service: string, env: GitPlace["env"]): Promise<void> {
  await mkdir(repository);
  const place = { repository, env };
  await git(place, ["-c", "init.defaultBranch=main", "init", "--quiet", "--template="]);
  await fastImport(place, demoHistory(service));
  await git(place, ["-c", "core.hooksPath=", "reset", "--quiet", "--hard", "main"]);
}

/** The whole history in one go; names and times are in the stream, so git asks for nobody's identity. */
function fastImport({ repository, env }: GitPlace, stream: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("git", ["-C", repository, "fast-import", "--quiet"], {
      env: { ...env, LC_ALL: "C" },
      stdio: ["pipe", "ignore", "pipe"],
      timeout: importTimeoutMs,
      killSignal: "SIGKILL",
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2_000);
    });
    child.once("error", (error) =>
      reject("code" in error && error.code === "ENOENT" ? new Error(gitMissing) : error),
    );
    child.once("close", (exitCode) =>
      exitCode === 0
        ? resolve()
        : reject(new Error(`Git could not build the demo repository: ${said.trim()}`)),
    );
    // Git may end before it has read everything; its exit code tells.
    child.stdin.on("error", () => {});
    child.stdin.end(stream);
  });
}

/** What ran in the demo before anybody asked, so that there is something to look at and to go back to. */
export async function demoPast(
  settings: Settings,
  env: GitPlace["env"],
): Promise<(Target & { key: string; daysAgo: number })[]> {
  const ran = [
    { environment: "production", tag: "v1.4.0", daysAgo: 21 },
    { environment: "production", tag: "v1.4.1", daysAgo: 9 },
    { environment: "staging", tag: "v1.4.1", daysAgo: 10 },
    { environment: "staging", tag: "v1.4.2", daysAgo: 2 },
  ];
  const byService = await Promise.all(
    Object.entries(settings.services).map(async ([service, { repository }]) => {
      const tags = await readTags({ repository, env });
      return ran.flatMap((past) => {
        const commit = tags.find(({ tag }) => tag === past.tag)?.commit;
        const key = `demo:${service}:${past.environment}:${past.tag}`;
        return commit === undefined ? [] : [{ ...past, service, commit, key }];
      });
    }),
  );
  return byService.flat();
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** What builders that were killed have left; a living one is done within minutes. */
async function sweepDrafts(folder: string): Promise<void> {
  const drafts = (await readdir(folder)).filter((name) => name.startsWith(draftPrefix));
  for (const draft of drafts) {
    const path = join(folder, draft);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > draftLifeMs) await rm(path, { recursive: true, force: true });
  }
}
