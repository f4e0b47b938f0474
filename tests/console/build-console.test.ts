/** The build that the gateway runs at its first start, on a copy of the console's sources. */
import { spawn } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
let checkout: string;

beforeAll(() => {
  /** Inside the repository, so that packages are found; dist/ is ignored by every tool. */
  mkdirSync(join(root, "dist"), { recursive: true });
  checkout = mkdtempSync(join(root, "dist", "console-test-"));
  for (const path of ["console", "scripts/build-console.ts", "package-lock.json", "tsconfig.json"]) {
    cpSync(join(root, path), join(checkout, path), {
      recursive: true,
      filter: (source) => basename(source) !== "dist",
    });
  }
});
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

function build(): Promise<{ code: number | null; line: string }> {
  const child = spawn(process.execPath, [join(checkout, "scripts/build-console.ts")]);
  let line = "";
  child.stdout.on("data", (chunk) => {
    line += chunk;
  });
  child.stderr.on("data", (chunk) => {
    line += chunk;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, line: line.trim() })));
}

const distFile = (...path: string[]) => join(checkout, "console/dist", ...path);

describe("building the console", () => {
  it("ends well for two processes that start at once, with one whole console and nothing left over", async () => {
    const both = await Promise.all([build(), build()]);

    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(both.map(({ line }) => line).join("\n")).toMatch(/^Built the web console in [\d.]+ s\.$/m);
    expect(readdirSync(join(checkout, "node_modules"))).toEqual([]);
    const html = readFileSync(distFile("index.html"), "utf8");
    for (const [, path = ""] of html.matchAll(/(?:src|href)="\/([^"]+)"/g)) {
      expect(existsSync(distFile(path)), path).toBe(true);
    }
  });

  it("writes no inline script, no inline style, and the place for the nonce", () => {
    const html = readFileSync(distFile("index.html"), "utf8");

    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/);
    expect(html).toContain('content="__CSP_NONCE__"');
  });

  it("does nothing when it is fresh, and builds again when a source changed", async () => {
    expect((await build()).line).toBe("The web console is up to date.");
    appendFileSync(join(checkout, "console/src/app/global.css"), "\n/* changed */\n");
    expect((await build()).line).toMatch(/^Built/);
  });

  it("says why it failed, and keeps the console that was there", async () => {
    const before = readFileSync(distFile("index.html"), "utf8");
    appendFileSync(join(checkout, "console/src/main.tsx"), "\nconst = broken;\n");
    const failed = await build();

    expect(failed.code).toBe(1);
    expect(failed.line).toMatch(/^The web console could not be built: /);
    expect(readFileSync(distFile("index.html"), "utf8")).toBe(before);
  });
});
