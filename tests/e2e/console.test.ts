/**
 * The console on the real gateway, in real Chromium: the newcomer's story from the printed link to the deployment.
 * With PARLEY_SCREENSHOTS=1 it also takes the pictures of docs/images.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type Browser,
  buildConsoleOnce,
  enter,
  horizontalOverflowPx,
  openBrowser,
  realChromium,
} from "../console/browser.ts";
import { describeWith } from "../support/suite.ts";
import { Client, type Home, home, type RunningParley, token } from "./parley.ts";

const root = join(import.meta.dirname, "../..");
const asked = process.env.PARLEY_SCREENSHOTS === "1";
const scratch = asked ? null : mkdtempSync(join(tmpdir(), "parley-pictures-"));
const pictures = scratch ?? join(root, "docs/images");

describeWith(realChromium, "the console on the real gateway", () => {
  let place: Home;
  let parley: RunningParley;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    mkdirSync(pictures, { recursive: true });
    buildConsoleOnce();
    place = await home();
    parley = await place.start();
    browser = await openBrowser();
    page = browser.page;
  }, 90_000);

  afterAll(async () => {
    await browser.close();
    await place.close();
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
  });

  const picture = (name: string) => page.screenshot({ path: join(pictures, `${name}.png`) });

  it("says what to do next, with the stand-in named for what it is", async () => {
    await enter(page, parley.url, "/", token);
    await page.getByText("Give the agents a model").waitFor();
    await page.getByText("offline stand-in").first().waitFor();
    await picture("console-home");
  });

  it("takes a message, shows exactly what would run, and runs it after the approval", async () => {
    await page.goto(`${parley.url}/threads/new`);
    await page.getByLabel("Write the first message").fill("deploy backend v1.4.2 to production");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Approve" }).waitFor({ timeout: 15_000 });
    const shown = await page.getByLabel("Arguments of deploy").textContent();
    for (const part of ["backend", "v1.4.2", "production", "commit"]) expect(shown).toContain(part);
    await picture("console-approval");
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByText("Approved by").first().waitFor();
    await page.getByText("backend v1.4.2 runs in production").first().waitFor({ timeout: 15_000 });
    await picture("console-deployed");
  });

  it("gives the reason of a rejection to the agent, which answers to it", async () => {
    await page.goto(`${parley.url}/threads/new`);
    await page.getByLabel("Write the first message").fill("deploy frontend v1.4.2 to production");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Reject…" }).click({ timeout: 15_000 });
    await page.getByLabel("Why not?").fill("not on a Friday");
    await page.getByRole("button", { name: "Reject", exact: true }).click();
    await page
      .getByText(/not on a Friday/)
      .nth(1)
      .waitFor({ timeout: 15_000 });
    await picture("console-rejected");
  });

  it("has the timeline with every event and model call", async () => {
    const { body } = await new Client(parley).call<{ items: { id: string }[] }>("GET", "/v1/threads");
    await page.goto(`${parley.url}/threads/${body.items.at(-1)?.id}/timeline`);
    await page.getByText("offline stand-in").first().waitFor();
    await picture("console-timeline");
    expect(browser.complaints(/401/)).toEqual([]);
  });

  it("works on a phone's width in the dark", async () => {
    const phone = await openBrowser({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
    try {
      const { body } = await new Client(parley).call<{ items: { id: string }[] }>("GET", "/v1/threads");
      await enter(phone.page, parley.url, `/threads/${body.items.at(-1)?.id}`, token);
      await phone.page.getByText("backend v1.4.2 runs in production").first().waitFor();
      expect(await horizontalOverflowPx(phone.page)).toBe(0);
      await phone.page.screenshot({ path: join(pictures, "console-phone.png") });
    } finally {
      await phone.close();
    }
  });

  it("has its like in the terminal: parley chat", async () => {
    const chat = spawnSync(
      process.execPath,
      [join(root, "bin/parley.mjs"), "chat", "--url", parley.url, "--token", token],
      {
        input: "deploy backend v1.4.1 to production\na\n",
        encoding: "utf8",
        timeout: 30_000,
        env: { PATH: process.env.PATH ?? "", HOME: place.folder },
      },
    );
    expect(chat.status).toBe(0);
    expect(chat.stdout).toContain("v1.4.1");
    await page.goto("about:blank");
    await page.setContent(terminalPage(`$ parley chat\n${chat.stdout}`));
    await page.locator("pre").screenshot({ path: join(pictures, "terminal-chat.png") });
  });
});

/** What a terminal shows, as a page that can be pictured. */
const terminalPage = (text: string): string =>
  `<body style="margin:0"><pre style="margin:0;padding:16px;width:900px;background:#16181d;color:#e6e6e6;font:14px/1.5 monospace;white-space:pre-wrap">${text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")}</pre></body>`;
