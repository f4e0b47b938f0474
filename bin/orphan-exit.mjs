/** Preloaded into tools (vitest, vite, biome, scripts), which know nothing of the launcher: they end when it dies. */
import { isMainThread } from "node:worker_threads";
import { onOrphaned } from "./lifeline.mjs";

if (isMainThread) onOrphaned(() => process.exit(1));
