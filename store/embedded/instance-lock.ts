/**
 * One Parley for each data folder. A kill at any instant leaves at most a lock whose holder is dead, and the next
 * instance takes over from it.
 *
 * The lock is a numbered file, lock.1, lock.2 and so on; the highest number counts. To take over from a dead or released
 * lock.N is to create lock.N+1, which link(2) grants to one contender only. The highest file is never deleted, so a slow
 * contender can at worst create a number that is no longer the highest; it looks again, sees that, and gives way.
 */
import { randomBytes } from "node:crypto";
import { access, constants, link, readdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Log } from "../../core/ports.ts";
import { EmbeddedPostgresError, FolderHeldError } from "./errors.ts";
import { birthOf } from "./liveness.ts";
import { makePrivateFolder, writePrivateFile } from "./private-files.ts";

const lockSchema = z.object({
  version: z.literal(1),
  pid: z.int(),
  birth: z.string(),
  released: z.boolean(),
});
type Lock = z.infer<typeof lockSchema>;

const maxAttempts = 20;
const dyingMostMs = 1_000;
const dyingPollMs = 50;

export interface FolderHold {
  /** Lets the next instance in. May be called again. */
  release(): Promise<void>;
}

/**
 * Makes this process the only holder of the folder until it releases it or dies. Creates the folder with mode 0700, and
 * tightens one that is wider (events `folder_tightened`, `folder_open_to_others`).
 * @throws {FolderHeldError} when a live process holds it, this one included.
 * @throws {EmbeddedPostgresError} when this user may not write there.
 */
export async function holdFolder(folder: string, log: Log = () => {}): Promise<FolderHold> {
  const path = resolve(folder);
  try {
    await makePrivateFolder(path, log);
    await access(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `${path} cannot be used by this user. Parley may have run as another user before: give the folder to this one ` +
        `("sudo chown -R $(id -u) ${path}"), or name another with PARLEY_DATA_DIR.`,
      { operation: "hold folder", cause },
    );
  }
  const birth = (await birthOf(process.pid)) ?? "unknown";
  const mine: Lock = { version: 1, pid: process.pid, birth, released: false };
  const since = performance.now();
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const number = await take(path, mine, log).catch(async (error: unknown) => {
      if (!mayBeDying(error, since)) throw error;
      attempt = 0;
      await sleep(dyingPollMs);
      return undefined;
    });
    if (number !== undefined) return makeHold(path, number, mine);
  }
  throw new EmbeddedPostgresError(
    `Could not lock ${path}: other instances kept changing the lock. Try again.`,
    {
      operation: "hold folder",
    },
  );
}

/** A killed program is not gone at once: the kernel takes a moment to bury it, longer on a busy machine. */
const mayBeDying = (error: unknown, since: number): boolean =>
  error instanceof FolderHeldError && error.pid !== process.pid && performance.now() - since < dyingMostMs;

/** The number that is ours now, or undefined when another contender was faster. */
async function take(folder: string, mine: Lock, log: Log): Promise<number | undefined> {
  const highest = Math.max(0, ...(await numbersIn(folder)));
  const before = await readLock(folder, highest);
  if (before && !before.released) {
    const birth = await birthOf(before.pid);
    if (birth === before.birth) throw new FolderHeldError(folder, before.pid);
  }
  const number = highest + 1;
  const draft = join(folder, `lock.${randomBytes(6).toString("hex")}.draft`);
  try {
    await writePrivateFile(draft, JSON.stringify(mine));
    await link(draft, join(folder, `lock.${number}`));
  } catch (error) {
    // EEXIST: another took this number. ENOENT: the winner swept our draft away.
    if (isFileError(error, "EEXIST") || isFileError(error, "ENOENT")) return undefined;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  if ((await numbersIn(folder)).some((other) => other > number)) {
    await rm(join(folder, `lock.${number}`), { force: true });
    return undefined;
  }
  if (before && !before.released) log("info", "folder_taken_over", { folder, deadPid: before.pid });
  await sweep(folder, number);
  return number;
}

function makeHold(folder: string, number: number, mine: Lock): FolderHold {
  let released: Promise<void> | undefined;
  return {
    release() {
      released ??= writePrivateFile(
        join(folder, `lock.${number}`),
        JSON.stringify({ ...mine, released: true } satisfies Lock),
      );
      return released;
    },
  };
}

async function numbersIn(folder: string): Promise<number[]> {
  return (await readdir(folder)).flatMap((name) => {
    const [, digits] = /^lock\.(\d+)$/.exec(name) ?? [];
    return digits ? [Number(digits)] : [];
  });
}

/** Undefined when it is gone, or unreadable: locks appear complete, so that one is damaged and holds nobody. */
async function readLock(folder: string, number: number): Promise<Lock | undefined> {
  try {
    const text = await readFile(join(folder, `lock.${number}`), "utf8");
    return lockSchema.parse(JSON.parse(text));
  } catch (error) {
    if (isFileError(error, "ENOENT") || error instanceof SyntaxError || error instanceof z.ZodError)
      return undefined;
    throw error;
  }
}

/** What dead holders and killed contenders left behind. */
async function sweep(folder: string, number: number): Promise<void> {
  const stale = (await readdir(folder)).filter((name) => {
    const [, digits] = /^lock\.(\d+)$/.exec(name) ?? [];
    return digits ? Number(digits) < number : /^lock\..*draft$/.test(name);
  });
  await Promise.all(stale.map((name) => rm(join(folder, name), { force: true })));
}

function isFileError(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
