/**
 * Tells this process that whoever started it is gone without a word (kill -9), so that nothing is left running.
 *
 *     npm ──▶ launcher ──▶ Node 24      the launcher watches npm; Node 24 watches its channel to the launcher
 *     npm ──▶ Node 24                   no launcher was needed: watches npm
 *     shell ──▶ Node 24                 nothing to watch: the user started it, the user stops it
 *
 * The channel closes the moment the launcher dies. npm opens none, so its death shows only as a changed parent.
 */
import { readFileSync } from "node:fs";

const pollMs = 500;

/** Set by the launcher for its child; taken out of the environment so that a grandchild does not believe it. */
const launched = process.env.PARLEY_LIFELINE === "channel";
delete process.env.PARLEY_LIFELINE;

const ancestorsAtStart = ancestors();

/**
 * Calls `callback` once when the launcher or npm above this process has died. Never keeps the process alive. Import this
 * module early: what it compares with is the parent at the time of the import.
 */
export function onOrphaned(callback) {
  if (launched) watchChannel(callback);
  else if (process.env.npm_lifecycle_event !== undefined) watchAncestors(callback);
}

function watchChannel(callback) {
  if (!process.connected) {
    setImmediate(callback);
    return;
  }
  process.once("disconnect", callback);
  process.channel?.unref();
}

function watchAncestors(callback) {
  const timer = setInterval(() => {
    if (ancestors() === ancestorsAtStart) return;
    clearInterval(timer);
    callback();
  }, pollMs);
  timer.unref();
}

/** npm runs scripts through a shell, and not every shell makes way for the command: the parent's parent counts too. */
function ancestors() {
  return `${process.ppid} ${parentOf(process.ppid)}`;
}

/** Field 4 of proc_pid_stat(5); the name before it is in brackets and may hold anything. Elsewhere than Linux: nothing. */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
  } catch {
    return "";
  }
}
