/** The console for everybody: by keyboard alone, on a phone, light and dark, with names and contrast. */
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { describeWith, verdictOf } from "../support/suite.ts";
import { namelessControls, weakContrasts } from "./accessibility.ts";
import {
  type Browser,
  buildConsoleOnce,
  enter,
  horizontalOverflowPx,
  openBrowser,
  realChromium,
} from "./browser.ts";
import { type FakeGateway, startFakeGateway, token } from "./fake-gateway.ts";

let gateway: FakeGateway;
let browser: Browser;

beforeAll(async () => {
  buildConsoleOnce();
  gateway = await startFakeGateway();
});
afterAll(() => gateway.close());
afterEach(() => browser.close());

/** Presses Tab until the focused control has this name, at most 60 times. */
async function tabTo(page: Page, name: string): Promise<void> {
  const focused = `(() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.textContent ?? "";
    return (element.getAttribute("aria-label") || label || element.textContent || "").trim();
  })()`;
  for (let press = 0; press < 60; press++) {
    await page.keyboard.press("Tab");
    if (((await page.evaluate(focused)) as string).startsWith(name)) {
      const outlinePx = await page.evaluate(
        "parseFloat(getComputedStyle(document.activeElement).outlineWidth)",
      );
      expect(outlinePx, `${name} shows the focus`).toBeGreaterThanOrEqual(2);
      return;
    }
  }
  throw new Error(`Tab never reached ${name}`);
}

describeWith(realChromium, "the keyboard alone", () => {
  beforeEach(async () => {
    browser = await openBrowser();
  });

  it("signs in, starts a thread, approves, and reads the answer", async () => {
    const { page } = browser;
    await page.goto(gateway.url);
    await page.getByLabel("Token").first().waitFor();
    await page.keyboard.type(token);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Welcome, Ada" }).waitFor();
    await tabTo(page, "New thread");
    await page.keyboard.press("Enter");
    await page.getByLabel("Write the first message").waitFor();
    await page.keyboard.type("deploy backend v1.4.2 to production");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Approve" }).waitFor();
    await tabTo(page, "Approve");
    await page.keyboard.press("Enter");
    await page.getByText("Approved by Ada").waitFor();
    await page.getByText("Deployed v1.4.2.").waitFor();

    expect(gateway.decisions).toEqual([{ verdict: "approve" }]);
  });

  it("skips the navigation with the first Tab", async () => {
    const { page } = browser;
    await enter(page, gateway.url, "/deliveries", token);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.closest('main') !== null")).toBe(true);
  });

  it("cannot leave an open dialog by Tab", async () => {
    const { page } = browser;
    await enter(page, gateway.url, "/deliveries", token);
    await page.getByRole("button", { name: "Settle…" }).first().click();
    await page.getByRole("dialog").waitFor();
    for (let press = 0; press < 12; press++) {
      await page.keyboard.press("Tab");
      expect(await page.evaluate("document.activeElement.closest('[role=dialog]') !== null")).toBe(true);
    }
  });
});

async function visitEverything(page: Page, check: (where: string) => Promise<void>): Promise<void> {
  await page.goto(gateway.url);
  await page.getByLabel("Token").first().waitFor();
  await check("sign-in");
  await enter(page, gateway.url, "/", token);
  await page.getByText("What to do next").waitFor();
  await check("home");
  for (const text of ["markdown please", "where to?", "deploy backend v1.4.2 to production"]) {
    await page.goto(`${gateway.url}/threads/new`);
    await page.getByLabel("Write the first message").fill(text);
    await page.keyboard.press("Enter");
    await page.getByRole("article").nth(1).waitFor();
    await check(text);
  }
  await page.getByRole("button", { name: "Edit…" }).click();
  await page.getByLabel("Arguments as JSON").fill("{");
  await check("editing");
  await page.goto(`${gateway.url}/threads/${gateway.threads.at(-1)!.id}/timeline`);
  await page.getByText("A run starts").waitFor();
  await page.getByText("step_decided").click();
  await check("timeline");
  for (const [path, text] of [
    ["/threads", "markdown please"],
    ["/approvals", "asks to run"],
    ["/deliveries", "550 mailbox unavailable"],
  ] as const) {
    await page.goto(gateway.url + path);
    await page.getByText(text).first().waitFor();
    await check(path);
  }
  await page.getByRole("button", { name: "Settle…" }).first().click();
  await page.getByRole("dialog").waitFor();
  await check("a dialog");
}

describe.skipIf(verdictOf(realChromium, process.env.CI === "true") === "skip").each([
  { scheme: "light", width: 1280 },
  { scheme: "dark", width: 1280 },
  { scheme: "light", width: 360 },
  { scheme: "dark", width: 360 },
] as const)("every page, $scheme, $width px wide", ({ scheme, width }) => {
  it("has named controls, readable contrast, no sideways scrolling and no CSP violation", async () => {
    browser = await openBrowser({ colorScheme: scheme, viewport: { width, height: 760 } });
    const { page } = browser;
    await visitEverything(page, async (where) => {
      /** Colours fade in for a moment after a change. */
      await page.waitForTimeout(200);
      expect(await namelessControls(page), where).toEqual([]);
      expect(await weakContrasts(page), where).toEqual([]);
      expect(await horizontalOverflowPx(page), where).toBe(0);
      expect(await page.evaluate("document.documentElement.dataset.mantineColorScheme"), where).toBe(scheme);
    });
    expect(browser.complaints(/status of 401/)).toEqual([]);
  }, 90_000);
});

describeWith(realChromium, "the checks themselves", () => {
  it("find a nameless button, weak text, too wide a page, and a style the policy forbids", async () => {
    browser = await openBrowser();
    const { page } = browser;
    await enter(page, gateway.url, "/", token);
    await page.evaluate(`(() => {
      const box = document.createElement("p");
      box.textContent = "hard to read";
      box.style.color = "#999";
      box.style.width = "4000px";
      document.body.append(box, document.createElement("button"));
      const style = document.createElement("style");
      style.textContent = "p { color: red }";
      document.head.append(style);
    })()`);

    expect((await weakContrasts(page)).some((text) => text.includes("hard to read"))).toBe(true);
    expect(await namelessControls(page)).toEqual(["<button></button>"]);
    expect(await horizontalOverflowPx(page)).toBeGreaterThan(0);
    await expect.poll(() => browser.complaints().join()).toContain("Content Security Policy");
  });
});

describeWith(realChromium, "colours", () => {
  it("follow the system until the switch is used, and the choice outlives a reload", async () => {
    browser = await openBrowser({ colorScheme: "dark" });
    const { page } = browser;
    const scheme = () => page.evaluate("document.documentElement.dataset.mantineColorScheme");
    await enter(page, gateway.url, "/", token);
    expect(await scheme()).toBe("dark");
    await page.getByRole("button", { name: /^Colours: as the system/ }).click();
    await expect.poll(scheme).toBe("light");
    await page.reload();
    await page.getByRole("button", { name: /^Colours: light/ }).waitFor();
    expect(await scheme()).toBe("light");
  });
});
