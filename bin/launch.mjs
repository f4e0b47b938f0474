#!/usr/bin/env node
/**
 * Runs a tool of this repository, or one of its TypeScript files, on a Node that can:
 * `node bin/launch.mjs vitest run`, `node bin/launch.mjs scripts/check.ts`. Files are relative to the current folder.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { become } from "./child.mjs";
import { fitNode, root } from "./node.mjs";

const tools = {
  vitest: "vitest",
  vite: "vite",
  biome: "@biomejs/biome",
  tsc: "typescript",
  depcruise: "dependency-cruiser",
};

const [wanted, ...args] = process.argv.slice(2);
const preload = pathToFileURL(join(root, "bin", "orphan-exit.mjs")).href;
become(fitNode(), ["--import", preload, entryOf(wanted), ...args], { graceMs: 2_000 });

function entryOf(name) {
  if (name === undefined)
    return giveUp(`Usage: launch.mjs <${Object.keys(tools).join("|")}|file> [arguments]`);
  if (!Object.hasOwn(tools, name)) {
    const file = resolve(name);
    return existsSync(file)
      ? file
      : giveUp(`${name} is neither a file nor one of ${Object.keys(tools).join(", ")}.`);
  }
  const folder = join(root, "node_modules", tools[name]);
  if (!existsSync(folder)) return giveUp(`${name} is not installed: run "npm install" first.`);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(folder, typeof bin === "string" ? bin : bin[name]);
}

function giveUp(reason) {
  console.error(reason);
  process.exit(2);
}
