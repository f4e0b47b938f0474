import { defineConfig } from "vitest/config";

/** CI counts passed, failed and skipped tests from this report (.ci/run). */
const report = "node_modules/.cache/parley/tests.json";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    ...(process.env.CI === "true" ? { reporters: ["default", "json"], outputFile: { json: report } } : {}),
  },
});
