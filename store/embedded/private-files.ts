/** Folders and files that only their owner may read, written so that a power cut leaves the old content or the new. */
import { randomBytes } from "node:crypto";
import { chmod, type FileHandle, mkdir, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "../../core/ports.ts";

/** Creates the folder with mode 0700, or takes the others' rights away from one that is ours. Windows has no modes. */
export async function makePrivateFolder(folder: string, log: Log): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { mode, uid } = await stat(folder);
  if (process.platform === "win32" || (mode & 0o077) === 0) return;
  const modeBefore = (mode & 0o777).toString(8);
  if (uid === process.getuid?.()) {
    await chmod(folder, 0o700);
    log("info", "folder_tightened", { folder, modeBefore, mode: "700" });
  } else {
    log("warn", "folder_open_to_others", { folder, mode: modeBefore, ownerUid: uid });
  }
}

/** The content is on disk under this name when it resolves, or the name is untouched. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString("hex")}.draft`;
  await withFile(draft, "wx", async (file) => {
    await file.writeFile(content);
    await file.sync();
  });
  await rename(draft, path);
  await syncFolder(dirname(path));
}

/** Makes renames and new names in a folder survive a power cut (fsync(2): the file's own fsync does not). */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  await withFile(folder, "r", (file) => file.sync());
}

async function withFile(
  path: string,
  flags: string,
  work: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await work(file);
  } finally {
    await file.close();
  }
}
