/**
 * Builds the web console when it is not built, or older than its sources: `node bin/launch.mjs scripts/build-console.ts`.
 * Prints one line and ends with 0 when console/dist is good. The gateway runs it as a child at its start.
 *
 * The build goes into a folder of its own and is moved into place whole, so a crash leaves the old console or none, never
 * half of one; two processes that build at the same time both end with a good one.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const consoleFolder = join(root, "console");
const dist = join(consoleFolder, "dist");
/** Beside the packages: on the same file system as console/, and ignored by everything that reads the checkout. */
const workshop = join(root, "node_modules");
const workPrefix = ".console-build-";
const leftoverAgeMs = 60 * 60 * 1000;

try {
  const stamp = sourceStamp();
  if (builtStamp() === stamp) {
    console.log("The web console is up to date.");
  } else {
    const startedAt = performance.now();
    await buildConsole(stamp);
    console.log(`Built the web console in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`);
  }
} catch (error) {
  console.error(`The web console could not be built: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

/** A digest of everything that the build's outcome depends on. */
function sourceStamp(): string {
  const hash = createHash("sha256");
  const isSource = (path: string) => !path.startsWith("dist") && !path.endsWith(".md");
  const files = readdirSync(consoleFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(consoleFolder, join(entry.parentPath, entry.name)))
    .filter(isSource)
    .map((path) => join("console", path))
    .concat("package-lock.json")
    .sort();
  for (const path of files) {
    const content = readFileSync(join(root, path));
    hash.update(`${path}\n${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

function builtStamp(): string | null {
  const file = join(dist, "stamp");
  return existsSync(file) && existsSync(join(dist, "index.html")) ? readFileSync(file, "utf8") : null;
}

async function buildConsole(stamp: string): Promise<void> {
  mkdirSync(workshop, { recursive: true });
  removeLeftovers();
  const folder = mkdtempSync(join(workshop, workPrefix));
  try {
    const { build } = await import("vite");
    const fresh = join(folder, "fresh");
    await build({
      configFile: join(consoleFolder, "vite.config.ts"),
      configLoader: "native",
      logLevel: "silent",
      build: { outDir: fresh, emptyOutDir: true },
    });
    writeFileSync(join(fresh, "stamp"), stamp);
    moveIntoPlace(fresh, join(folder, "old"), stamp);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The other process may be between the same two renames: what counts is that the right build stands there in the end. */
function moveIntoPlace(fresh: string, old: string, stamp: string): void {
  for (let attempt = 1; builtStamp() !== stamp; attempt++) {
    rmSync(old, { recursive: true, force: true });
    try {
      if (existsSync(dist)) renameSync(dist, old);
      renameSync(fresh, dist);
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

/** What a killed build left behind; a younger folder may be another process at work. */
function removeLeftovers(): void {
  for (const name of readdirSync(workshop).filter((entry) => entry.startsWith(workPrefix))) {
    const folder = join(workshop, name);
    const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > leftoverAgeMs) rmSync(folder, { recursive: true, force: true });
  }
}
