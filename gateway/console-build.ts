/** Makes sure that the web console is built. It is built by a child, so that the builder's memory is gone afterwards. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Log } from "../core/ports.ts";

export const consoleFolder = fileURLToPath(new URL("../console/dist", import.meta.url));
const script = fileURLToPath(new URL("../scripts/build-console.ts", import.meta.url));
const mostMs = 60_000;
const outputKept = 4_000;

/**
 * Builds when nothing is built yet, or when the sources have changed since. A failed build is told and logged, never
 * thrown: the API and the agents work without a console, and the console's address says what is missing.
 */
export async function ensureConsole(
  print: (line: string) => void,
  log: Log,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  // An image or a package without the sources brings the console built.
  if (!existsSync(script)) return;
  if (!existsSync(consoleFolder)) print("Building the web console, once …");
  const { code, output } = await built(env);
  if (code === 0) return;
  log("error", "console_build_failed", { code, output: output.slice(-outputKept) });
  print(
    `The web console could not be built; everything else works. ${output.trim().split("\n").at(-1) ?? ""}`,
  );
}

function built(env: Readonly<Record<string, string>>): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: mostMs,
      env,
    });
    let output = "";
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-outputKept * 2);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => resolve({ code: null, output: error.message }));
    child.on("close", (code) => resolve({ code, output }));
  });
}
