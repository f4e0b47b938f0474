/** Postgres's own log, in a file of bounded size next to the cluster. It holds no statements and no values. */
import { copyFile, open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";

const maxBytes = 4 << 20;
const checkEveryMs = 60_000;
const tailBytes = 4096;

export interface ServerLog {
  readonly path: string;
  readonly fd: number;
  /** The last lines since this log was opened, for an error message. */
  tail(maxLines?: number): Promise<string>;
  close(): Promise<void>;
}

/**
 * Opens the log for appending. While it is open, content beyond 4 MiB moves to `postgres.log.1`, whose older content is
 * dropped; what Postgres writes during the move may be lost.
 */
export async function openServerLog(folder: string): Promise<ServerLog> {
  const path = join(folder, "postgres.log");
  await bound(path);
  const file = await open(path, "a", 0o600);
  const startBytes = (await file.stat()).size;
  const timer = setInterval(() => void bound(path), checkEveryMs);
  timer.unref();
  return {
    path,
    fd: file.fd,
    tail: (maxLines = 15) => readTail(path, startBytes, maxLines),
    async close() {
      clearInterval(timer);
      await file.close();
    },
  };
}

/** Emptied in place: Postgres appends, so it goes on writing at the new end. A full disk is the next check's problem. */
async function bound(path: string): Promise<void> {
  try {
    if ((await stat(path)).size <= maxBytes) return;
    await copyFile(path, `${path}.1`);
    await truncate(path);
  } catch {}
}

async function readTail(path: string, startBytes: number, maxLines: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const from = Math.max(size < startBytes ? 0 : startBytes, size - tailBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, from);
    return buffer.toString("utf8", 0, bytesRead).trim().split("\n").slice(-maxLines).join("\n");
  } finally {
    await file.close();
  }
}
