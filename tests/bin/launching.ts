/** Starts the launcher from a copy of bin/ with a scripted cli/main.ts, so that no other part of Parley takes part. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const unfitNode = findUnfitNode();

function findUnfitNode(): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(":")) {
    try {
      const path = realpathSync(join(folder, "node"));
      if (path !== realpathSync(process.execPath)) return path;
    } catch {}
  }
  return undefined;
}

/** A folder that looks like a checkout: bin/ is the real one. */
export function makeCheckout(mainSource: string): { folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "parley-launch-"));
  cpSync("bin", join(folder, "bin"), { recursive: true });
  mkdirSync(join(folder, "cli"));
  mkdirSync(join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "cli", "main.ts"), mainSource);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface Running {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export function run(node: string, args: string[], options: SpawnOptions = {}): Running {
  const child = spawn(node, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

/** Waits until `probe` gives something other than undefined or false. */
export async function until<T>(probe: () => T | undefined | false, withinMs: number): Promise<T> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    const found = probe();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`did not happen within ${withinMs} ms: ${probe}`);
}

/** A dead child that nobody has waited for yet still answers to signals: it counts as gone. */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return existsSync("/proc") && / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
