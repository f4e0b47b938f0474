/**
 * Reads tags from a git repository. Git gets its arguments as a list and runs for a bounded time with bounded output;
 * nothing is written, so there is nothing to repair after a crash.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { nearestTags } from "./nearest-tags.ts";

export interface Tag {
  tag: string;
  /** The full id of the commit that the tag names. */
  commit: string;
  committedAt: string;
  subject: string;
}

/** Stricter than git's own rules (git-check-ref-format): what it lets through is never an option and never a path. */
export const tagPattern = /^[A-Za-z0-9][A-Za-z0-9._+/-]{0,99}$/;
export const commitPattern = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

const timeoutMs = 10_000;
const maxOutputBytes = 8 * 1024 * 1024;
const run = promisify(execFile);

export const gitMissing =
  "Git is not installed, or not on this server's PATH. Deploybot reads tags with it: install git (Debian: apt-get install git).";

export interface GitPlace {
  repository: string;
  env: Readonly<Record<string, string>>;
}

/** @throws {Error} with a plain sentence. */
export async function git(place: GitPlace, args: readonly string[], signal?: AbortSignal): Promise<string> {
  // Nothing may ask for a password, page, or take locks in a repository that people work in.
  const env = {
    ...place.env,
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_PAGER: "cat",
  };
  try {
    const options = { env, timeout: timeoutMs, maxBuffer: maxOutputBytes, killSignal: "SIGKILL" } as const;
    const { stdout } = await run(
      "git",
      ["-C", place.repository, ...args],
      signal === undefined ? options : { ...options, signal },
    );
    return stdout;
  } catch (error) {
    throw new Error(gitSentence(error, place.repository), { cause: error });
  }
}

function gitSentence(error: unknown, repository: string): string {
  const { code, killed, stderr, syscall } = error as {
    code?: unknown;
    killed?: boolean;
    stderr?: string;
    syscall?: string;
  };
  if (code === "ENOENT" && syscall?.startsWith("spawn")) return gitMissing;
  if (code === "ABORT_ERR") return `Reading ${repository} was stopped.`;
  if (killed) return `Git did not answer within ${timeoutMs / 1000} s in ${repository}.`;
  const said = stderr?.trim().split("\n")[0] ?? String(error);
  return `Git could not read ${repository}: ${said}`;
}

/**
 * All tags that name a commit, the newest first. A tag that deploybot would not take as an argument is left out.
 * @throws {Error} with a plain sentence.
 */
export async function readTags(place: GitPlace, signal?: AbortSignal): Promise<Tag[]> {
  const format = [
    "%(refname:strip=2)",
    "%(objecttype)",
    "%(objectname)",
    "%(*objecttype)",
    "%(*objectname)",
    "%(creatordate:iso-strict)",
    "%(contents:subject)",
  ].join("%09");
  const sorting = ["--sort=-version:refname", "--sort=-creatordate"];
  const listed = await git(place, ["for-each-ref", ...sorting, `--format=${format}`, "refs/tags"], signal);
  return listed.split("\n").flatMap((line): Tag[] => {
    const [tag = "", type, own = "", peeledType, peeled = "", committedAt = "", ...subject] =
      line.split("\t");
    const commit = type === "commit" ? own : peeledType === "commit" ? peeled : "";
    if (!tagPattern.test(tag) || !commitPattern.test(commit)) return [];
    return [{ tag, commit, committedAt, subject: subject.join(" ").slice(0, 200) }];
  });
}

/** @throws {Error} that names the nearest known tags when there is no such tag. */
export async function findTag(
  place: GitPlace,
  service: string,
  wanted: string,
  signal?: AbortSignal,
): Promise<Tag> {
  const tags = await readTags(place, signal);
  const found = tags.find(({ tag }) => tag === wanted);
  if (found !== undefined) return found;
  const known = tags.map(({ tag }) => tag);
  if (known.length === 0) throw new Error(`${service} has no tags at all.`);
  throw new Error(
    `${service} has no tag ${wanted}. The nearest are ${nearestTags(wanted, known).join(", ")}.`,
  );
}
