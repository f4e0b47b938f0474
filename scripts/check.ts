/** Everything CI checks, in one command: format and lint, dependency directions, types. All run even when one fails. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const folders = [
  "core",
  "store",
  "queue",
  "channels",
  "agents",
  "gateway",
  "console",
  "cli",
  "sandbox",
  "tests",
  "bench",
];
const checks = [
  {
    name: "format and lint",
    command: ["node_modules/@biomejs/biome/bin/biome", "ci", "--error-on-warnings", "."],
  },
  {
    name: "dependency directions",
    command: [
      "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs",
      "--config",
      ".dependency-cruiser.mjs",
      ...folders.filter((folder) => existsSync(folder)),
    ],
  },
  { name: "types", command: ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"] },
  ...(existsSync("console/tsconfig.json")
    ? [{ name: "console types", command: ["node_modules/typescript/bin/tsc", "-p", "console/tsconfig.json"] }]
    : []),
];

const failed: string[] = [];
for (const { name, command } of checks) {
  console.log(`\n── ${name}`);
  if (spawnSync(process.execPath, command, { stdio: "inherit" }).status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? "\nAll checks passed." : `\nFailed: ${failed.join(", ")}.`);
process.exitCode = failed.length === 0 ? 0 : 1;
