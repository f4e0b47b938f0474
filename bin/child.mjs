/** Runs a program on the chosen Node as if it had been started in the launcher's place: same terminal, signals, ending. */
import { spawn } from "node:child_process";
import { onOrphaned } from "./lifeline.mjs";

const forwarded = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * Never returns: ends with the child's exit code or signal. When npm above dies, the child's channel closes, which it
 * takes as the order to shut down; after `graceMs` it is killed.
 */
export function become(node, args, { graceMs }) {
  const child = spawn(node, ["--disable-warning=ExperimentalWarning", ...args], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, PARLEY_LIFELINE: "channel" },
  });
  for (const signal of forwarded) process.on(signal, () => forward(child, signal));
  onOrphaned(() => {
    if (child.connected) child.disconnect();
    setTimeout(() => child.kill("SIGKILL"), graceMs);
  });
  child.on("error", (error) => {
    console.error(`${node} did not start: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => end(code, signal));
}

/** A terminal gives Ctrl-C to every process in it by itself; a second copy would look like an impatient user. */
function forward(child, signal) {
  if (signal === "SIGINT" && process.stdin.isTTY) return;
  child.kill(signal);
}

function end(code, signal) {
  if (signal === null) process.exit(code ?? 1);
  for (const each of forwarded) process.removeAllListeners(each);
  process.kill(process.pid, signal);
  // PID 1 of a container ignores its own signals: the code by which shells report that signal, then.
  setTimeout(() => process.exit(signal === "SIGKILL" ? 137 : 143), 200);
}
