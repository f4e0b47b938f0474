/** Real Chromium on the console as it is built, with everything watched that a page should not do. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { Requirement } from "../support/suite.ts";

const root = join(import.meta.dirname, "../..");

const executablePath =
  ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
    existsSync(path),
  ) ?? "/usr/bin/chromium";

export const realChromium: Requirement = {
  name: "Chromium",
  available: existsSync(executablePath),
  install: "apt-get install chromium",
};

/** The way the gateway builds it: a child process that does nothing when the build is fresh. */
export function buildConsoleOnce(): void {
  const built = spawnSync(process.execPath, [join(root, "scripts/build-console.ts")], { encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
}

export interface Browser {
  page: Page;
  context: BrowserContext;
  /** Console errors, page errors and CSP violations so far, without those that `expected` matches. */
  complaints(expected?: RegExp): string[];
  close(): Promise<void>;
}

export async function openBrowser(options: BrowserContextOptions = {}): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), "parley-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    viewport: { width: 1280, height: 820 },
    ...options,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(8_000);
  const heard: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") heard.push(message.text());
  });
  page.on("pageerror", (error) => heard.push(`page error: ${error.message}`));
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (hostname !== "127.0.0.1" && protocol !== "data:") heard.push(`foreign request: ${request.url()}`);
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return {
    page,
    context,
    complaints: (expected) => heard.filter((text) => !expected?.test(text)),
    close,
  };
}

/** Signs in by the link that the gateway prints. */
export async function enter(page: Page, url: string, path: string, token: string): Promise<void> {
  await page.goto(`${url}${path}#token=${token}`);
  await page.getByRole("navigation", { name: "Main" }).waitFor();
}

/** How far the page is wider than its window. */
export const horizontalOverflowPx = (page: Page): Promise<number> =>
  page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
