/**
 * The database cluster on disk. It is made under a draft name and renamed when whole, so after a kill or a power cut
 * there is either a complete cluster or none.
 *
 *     <folder>/password   made first, 0600       <folder>/cluster   PGDATA, initdb has synced it
 */
import { createHash, randomBytes } from "node:crypto";
import { chown, readdir, readFile, realpath, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries } from "./binaries.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { startGuarded } from "./guard.ts";
import type { Chosen } from "./identity.ts";
import type { ClusterPlace } from "./leftovers.ts";
import { syncFolder, writePrivateFile } from "./private-files.ts";
import type { ServerLog } from "./server-log.ts";

export const superuser = "parley";

export async function placeIn(folder: string): Promise<ClusterPlace> {
  const real = await realpath(folder);
  const hash = createHash("sha256").update(real).digest("hex").slice(0, 12);
  return { folder: real, cluster: join(real, "cluster"), tag: `parley-${hash}` };
}

export interface Workshop {
  readonly place: ClusterPlace;
  readonly binaries: Binaries;
  readonly chosen: Chosen;
  readonly serverLog: ServerLog;
}

/**
 * Makes sure that there is a cluster which these binaries can serve, and returns its superuser's password.
 * @throws {EmbeddedPostgresError} for a cluster of another major version, one without its password, or a failed initdb.
 */
export async function ensureCluster(workshop: Workshop): Promise<string> {
  const { place } = workshop;
  await removeDrafts(place);
  const clusterMajor = await readMajor(place);
  if (clusterMajor !== undefined) {
    checkMajor(clusterMajor, workshop);
    return readPassword(place);
  }
  const password = randomBytes(32).toString("hex");
  await writePrivateFile(join(place.folder, "password"), password);
  await createCluster(workshop);
  return password;
}

async function createCluster({ place, binaries, chosen, serverLog }: Workshop): Promise<void> {
  const draft = `${place.cluster}.${randomBytes(6).toString("hex")}.draft`;
  const passwordFile = await passwordFileFor(place, chosen);
  const settings = [
    ...["--auth=scram-sha-256", `--pwfile=${passwordFile}`, `--username=${superuser}`],
    ...["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"],
  ];
  const initdb = startGuarded({
    identity: chosen.identity,
    command: [binaries.initdb, "-D", draft, ...settings],
    cwd: place.folder,
    logFd: serverLog.fd,
  });
  initdb.ref();
  const code = await initdb.exited;
  if (code !== 0) {
    throw failed(`initdb ended with code ${code}. Its last words:\n${await serverLog.tail()}`);
  }
  await rename(draft, place.cluster);
  await syncFolder(place.folder);
}

/** initdb reads the password as the user it runs as; the file goes to that user together with the folder. */
async function passwordFileFor(place: ClusterPlace, { identity }: Chosen): Promise<string> {
  const path = join(place.folder, "password");
  if (identity.kind === "other") {
    await chown(path, identity.uid, identity.gid);
  }
  return path;
}

async function removeDrafts(place: ClusterPlace): Promise<void> {
  const drafts = (await readdir(place.folder)).filter((name) => /^(cluster|password)\..*draft$/.test(name));
  await Promise.all(drafts.map((name) => rm(join(place.folder, name), { recursive: true, force: true })));
}

async function readMajor(place: ClusterPlace): Promise<string | undefined> {
  const names = await readdir(place.cluster).catch(() => []);
  if (names.length === 0) return undefined;
  const major = await readFile(join(place.cluster, "PG_VERSION"), "utf8").catch(() => undefined);
  if (major === undefined) {
    throw failed(
      `${place.cluster} is not a Postgres cluster (it has no PG_VERSION). Move it away, and Parley makes a new one; ` +
        "or restore it from a backup.",
    );
  }
  return major.trim();
}

/** "postgres (PostgreSQL) 18.4" serves clusters of major version 18 only. */
function checkMajor(clusterMajor: string, { place, chosen }: Workshop): void {
  const [, programMajor] = /(\d+)\.?\S*$/.exec(chosen.version) ?? [];
  if (programMajor === clusterMajor) return;
  throw failed(
    `${place.cluster} was made by Postgres ${clusterMajor}, and the embedded one is ${chosen.version}. Start the Parley ` +
      "version that made it and dump the database with pg_dump, then restore the dump into a new folder; " +
      "or serve the old folder with its own Postgres and set DATABASE_URL.",
  );
}

async function readPassword(place: ClusterPlace): Promise<string> {
  const path = join(place.folder, "password");
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw failed(
      `${path}, the password of the database next to it, cannot be read. Restore it from a backup.`,
      cause,
    );
  }
}

function failed(message: string, cause?: unknown): EmbeddedPostgresError {
  return new EmbeddedPostgresError(message, { operation: "open database folder", cause });
}
