/**
 * A stand-in for Parley: `owner.ts <postgres|lock> <folder> [uid]` takes the folder, prints one JSON line, and stays
 * until it is killed. With a uid it becomes that user first.
 */

import { holdFolder } from "../../../store/embedded/instance-lock.ts";
import { startEmbeddedPostgres } from "../../../store/embedded/server.ts";

const [what, folder = "", uid] = process.argv.slice(2);
if (uid) {
  process.setgroups?.([]);
  process.setgid?.(Number(uid));
  process.setuid?.(Number(uid));
}
try {
  if (what === "lock") {
    await holdFolder(folder);
    console.log(JSON.stringify({ held: true }));
  } else {
    const { url, pid } = await startEmbeddedPostgres({ folder });
    console.log(JSON.stringify({ url, pid }));
  }
} catch (error) {
  console.log(JSON.stringify({ failed: error instanceof Error ? `${error.name}: ${error.message}` : "" }));
  process.exit(1);
}
setInterval(() => {}, 1000);
