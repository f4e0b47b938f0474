/** Gives the database folder to the user who runs Postgres, when that is not root. */
import { chown, lchown, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Changes the owner of the folder and of all in it. A data folder right above that Parley itself made private (it has
 * a lock of ours and mode 0700) goes along, or nobody but root could pass through it; what else it holds does not.
 * Root only. May be repeated; after a kill in the middle the next start completes it.
 */
export async function lendFolder(folder: string, owner: Owner): Promise<void> {
  const above = dirname(folder);
  if (await isOurDataFolder(above)) await chown(above, owner.uid, owner.gid);
  // The folder itself comes last: as long as it has the old owner, the work is not done.
  if ((await stat(folder)).uid === owner.uid) return;
  const names = await readdir(folder, { recursive: true });
  for (const name of names) await lchown(join(folder, name), owner.uid, owner.gid);
  await chown(folder, owner.uid, owner.gid);
}

async function isOurDataFolder(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  return (mode & 0o077) === 0 && (await readdir(folder)).some((name) => /^lock\.\d+$/.test(name));
}
