/** An approval card from proposal to outcome, in real Chromium under the strict Content-Security-Policy. */
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { visibleText } from "../../core/approval.ts";
import { describeWith } from "../support/suite.ts";
import { type Browser, buildConsoleOnce, enter, openBrowser, realChromium } from "./browser.ts";
import { type FakeGateway, startFakeGateway, token } from "./fake-gateway.ts";
import { deployArgs } from "./fake-thread.ts";

let gateway: FakeGateway;
let browser: Browser;

beforeAll(buildConsoleOnce);
beforeEach(async () => {
  gateway = await startFakeGateway();
  browser = await openBrowser();
});
afterEach(async () => {
  await browser.close();
  await gateway.close();
});

async function startThread(text: string): Promise<void> {
  const { page } = browser;
  await enter(page, gateway.url, "/threads/new", token);
  await page.getByLabel("Write the first message").fill(text);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: text }).waitFor();
}

/** Apart from the live region, which says the same. */
const inThread = (text: string) => browser.page.getByRole("log").getByText(text);

describeWith(realChromium, "an approval", () => {
  beforeEach(async () => {
    await startThread("deploy backend v1.4.2 to production");
    await browser.page.getByRole("button", { name: "Approve" }).waitFor();
  });

  it("shows the tool, every argument in full and hidden characters as marked escapes", async () => {
    const { page } = browser;
    const card = page.getByRole("article", { name: "deploybot asks to run deploy" });
    const shown = (await card.getByLabel("Arguments of deploy").textContent()) ?? "";

    for (const name of Object.keys(deployArgs)) expect(shown).toContain(name);
    expect(shown).toContain(visibleText(String(deployArgs.note)));
    expect(shown).toContain('"replicas": 3');
    expect(await card.locator("mark").allTextContents()).toEqual(["\\n", "\\u{202e}", "\\u{200b}"]);
    const clipped = `[...document.querySelectorAll("[aria-label='Arguments of deploy'] *")]
      .filter((element) => element.scrollHeight > element.clientHeight + 2 && getComputedStyle(element).overflow === "hidden").length`;
    expect(await page.evaluate(clipped)).toBe(0);
    const { shortDigest, code } = gateway.threads[0]!.approvals[0]!;
    const text = (await card.textContent()) ?? "";
    expect(text).toMatch(/Expiresin (1 h|59 min)/);
    for (const fact of [shortDigest, code, "production", "0 of 1", "Ada"]) expect(text).toContain(fact);
    expect(browser.complaints()).toEqual([]);
  });

  it("sends one decision for a double click, then shows who decided and the result", async () => {
    const { page } = browser;
    await page.getByRole("button", { name: "Approve" }).dblclick();
    await page.getByText("Approved by Ada").waitFor();
    await page.getByText("Deployed v1.4.2.").waitFor();

    expect(gateway.decisions).toEqual([{ verdict: "approve" }]);
    expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);
    expect(browser.complaints()).toEqual([]);
  });

  it("is shown from its head when it is taller than the view, and stays put while a form in it is used", async () => {
    const { page } = browser;
    await page.getByRole("heading", { name: "deploybot asks to run deploy" }).waitFor();
    const topPx = async (name: string | RegExp) =>
      (await page.getByText(name).first().boundingBox())?.y ?? -1;
    await expect.poll(() => topPx("asks to run")).toBeGreaterThan(0);

    await page.getByRole("button", { name: "Reject…" }).click();
    const field = page.getByLabel("Why not?");
    await field.pressSequentially("because\n\n\nof this");
    const box = await field.boundingBox();
    expect(box?.y).toBeGreaterThan(0);
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThan(820);
  });

  it("asks for a reason before it rejects, and hands it on", async () => {
    const { page } = browser;
    await page.getByRole("button", { name: "Reject…" }).click();
    await page.getByRole("button", { name: "Reject", exact: true }).click();
    await page.getByText("Write a few words first.").waitFor();
    expect(gateway.decisions).toEqual([]);

    await page.getByLabel("Why not?").fill("Not on a Friday");
    await page.getByRole("button", { name: "Reject", exact: true }).click();
    await page.getByText("Rejected by Ada").waitFor();
    await inThread("You said: Not on a Friday").waitFor();
    expect(gateway.decisions).toEqual([{ verdict: "reject", reason: "Not on a Friday" }]);
  });

  it("takes edited arguments only as a JSON object, and shows what will run instead", async () => {
    const { page } = browser;
    await page.getByRole("button", { name: "Edit…" }).click();
    const editor = page.getByLabel("Arguments as JSON");
    expect(JSON.parse(await editor.inputValue())).toEqual(deployArgs);
    const submit = page.getByRole("button", { name: "Approve with these arguments" });
    for (const broken of ["{ nonsense", "[1]", '{ "n": 12345678901234567890 }']) {
      await editor.fill(broken);
      expect(await submit.isDisabled()).toBe(true);
    }
    await editor.fill('{ "tag": "v1.4.3\u202E" }');
    expect(await page.getByLabel("Edited arguments of deploy").textContent()).toBe('tag"v1.4.3\\u{202e}"');
    await submit.click();
    await page.getByText("Approved by Ada").waitFor();

    expect(gateway.decisions).toEqual([{ verdict: "edit", args: { tag: "v1.4.3\u202E" } }]);
  });

  it("stays open when somebody asks back", async () => {
    const { page } = browser;
    await page.getByRole("button", { name: "Ask back…" }).click();
    await page.getByLabel("What do you want to know first?").fill("Which migrations?");
    await page.getByRole("button", { name: "Ask", exact: true }).click();
    await inThread("Ada asks first: Which migrations?").waitFor();

    await expect.poll(() => page.getByRole("button", { name: "Approve" }).isEnabled()).toBe(true);
    await expect.poll(() => page.getByLabel("What do you want to know first?").count()).toBe(0);
    expect(gateway.decisions).toEqual([{ verdict: "ask_back", reason: "Which migrations?" }]);
  });

  it("says who was faster when it was decided elsewhere", async () => {
    const { page } = browser;
    const thread = gateway.threads[0]!;
    const approval = thread.approvals[0]!;
    approval.status = "used";
    approval.decidedBy = "Grace";
    approval.decidedAt = new Date().toISOString();
    await page.getByRole("button", { name: "Approve" }).click();

    await page.getByText("Approved by Grace").waitFor();
    expect(thread.log.some(({ type }) => type === "approval_decided")).toBe(false);
  });

  it("is counted in the navigation, decided from the inbox, and found in the history", async () => {
    const { page } = browser;
    await page.getByRole("link", { name: "1 approval waiting" }).click();
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByText("Nothing waits for you").waitFor();
    await page.getByText("History").click();
    await page.getByText("Deploy backend v1.4.2 to production").click();

    await page.getByText("Approved by Ada").waitFor();
    expect(await page.getByRole("img", { name: /approval/ }).count()).toBe(0);
  });
});
