import { defineConfig } from "vitest/config";

/** CI counts passed, failed and skipped tests from this report (.ci/run). */
const report = "node_modules/.cache/parley/tests.json";
const inCi = process.env.CI === "true";

/** Suites that start, kill and freeze processes by the clock of a machine that others use, too. */
const processes = ["bin", "cli", "console", "crash", "docker", "e2e", "queue", "store/embedded"].map(
  (folder) => `tests/${folder}/**/*.test.ts`,
);

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    ...(inCi ? { reporters: ["default", "json"], outputFile: { json: report } } : {}),
    projects: [
      { extends: true, test: { name: "rules", include: ["tests/**/*.test.ts"], exclude: processes } },
      // One repetition in CI, and only here: a rule or a property that fails once has failed.
      { extends: true, test: { name: "processes", include: processes, retry: inCi ? 1 : 0 } },
    ],
  },
});
