/** What people do in the console, in real Chromium under the strict Content-Security-Policy. */
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { describeWith } from "../support/suite.ts";
import { type Browser, buildConsoleOnce, enter, openBrowser, realChromium } from "./browser.ts";
import { type FakeGateway, startFakeGateway, token } from "./fake-gateway.ts";

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

/** Chromium itself logs answers with these statuses as errors. */
const signedOutAnswer = /status of 401/;
const lostAnswer = /status of 503/;

async function startThread(text: string): Promise<void> {
  const { page } = browser;
  await enter(page, gateway.url, "/threads/new", token);
  await page.getByLabel("Write the first message").fill(text);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: text }).waitFor();
}

/** Apart from the live region, which says the same. */
const inThread = (text: string) => browser.page.getByRole("log").getByText(text);
const lastArticle = () => browser.page.getByRole("article").last();

describeWith(realChromium, "signing in", () => {
  it("takes the token from the link out of the address bar and opens the console", async () => {
    const { page } = browser;
    await enter(page, gateway.url, "/approvals", token);

    expect(page.url()).toBe(`${gateway.url}/approvals`);
    expect(await page.evaluate("document.cookie")).toBe("");
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Approvals");
    expect(browser.complaints()).toEqual([]);
  });

  it("shows why a token was refused, takes the right one, and ends the session again", async () => {
    const { page } = browser;
    await page.goto(gateway.url);
    await page.getByLabel("Token").first().fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("This token is not known.").waitFor();
    await page.getByLabel("Token").first().fill(token);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Welcome, Ada" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();

    await page.getByRole("heading", { name: "Sign in to the console" }).waitFor();
    expect(browser.complaints(signedOutAnswer)).toEqual([]);
  });

  it("asks to sign in again when the session ended elsewhere", async () => {
    const { page } = browser;
    await enter(page, gateway.url, "/deliveries", token);
    gateway.endSessions();
    await page.getByRole("button", { name: "Retry" }).first().click();

    await page.getByText("Your session has ended").waitFor();
    expect(gateway.deliveries[0]?.status).toBe("uncertain");
  });
});

describeWith(realChromium, "a conversation", () => {
  it("shows a reply while it grows and once when it is committed", async () => {
    const { page } = browser;
    await startThread("hello there");
    await page.getByText("You wrote hello there.").waitFor();
    const thread = gateway.threads[0]!;
    thread.stepDelayMs = 150;
    await page.getByLabel("Write to deploybot").fill("and a second, longer message to answer");
    await page.keyboard.press("Enter");
    await page.getByTestId("partial").waitFor();
    const growing = (await page.getByTestId("partial").textContent()) ?? "";
    await page.getByText("You wrote and a second, longer message to answer.").waitFor();
    await page.getByTestId("partial").waitFor({ state: "detached" });

    expect(growing).toContain("writing…");
    expect(await page.getByRole("article", { name: "Reply from deploybot" }).count()).toBe(2);
    expect(await page.getByTestId("announcer").textContent()).toContain(
      "deploybot: You wrote **and a second",
    );
    expect(browser.complaints()).toEqual([]);
  });

  it("keeps a line break for Shift+Enter and sends with Enter", async () => {
    const { page } = browser;
    await startThread("hello");
    await page.getByLabel("Write to deploybot").focus();
    await page.keyboard.type("first");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("second");
    await page.keyboard.press("Enter");
    await expect.poll(() => gateway.sends.map(({ text }) => text)).toEqual(["first\nsecond"]);
  });

  it("sends a message once although its answers were lost, by one idempotency key", async () => {
    const { page } = browser;
    await startThread("hello");
    await page.getByText("You wrote hello.").waitFor();
    gateway.loseAnswers = 1;
    await page.getByLabel("Write to deploybot").fill("only once");
    await page.keyboard.press("Enter");
    await page.getByText("You wrote only once.").waitFor();
    await expect.poll(() => gateway.sends.length).toBe(2);

    expect(new Set(gateway.sends.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
    expect(await page.getByRole("article", { name: "Message from Ada" }).count()).toBe(2);
    expect(await page.getByRole("article", { name: "Your message, on its way" }).count()).toBe(0);
    expect(browser.complaints(lostAnswer)).toEqual([]);
  });

  it("comes back after a dropped stream with Last-Event-ID and misses and repeats nothing", async () => {
    const { page } = browser;
    await startThread("hello");
    await page.getByText("You wrote hello.").waitFor();
    const state = page.getByRole("status").filter({ hasText: /^(live|reconnecting)$/ });
    await state.filter({ hasText: "live" }).waitFor();
    const thread = gateway.threads[0]!;
    thread.accept("during", "k-during");
    await page.getByText("You wrote during.").waitFor();
    gateway.dropStreams();
    thread.accept("while away", "k-away");
    await state.filter({ hasText: "reconnecting" }).waitFor();
    await page.getByText("You wrote while away.").waitFor();
    await state.filter({ hasText: "live" }).waitFor();

    expect(gateway.lastEventIds.length).toBeGreaterThan(0);
    expect(await page.getByRole("article", { name: /^(Message|Reply) from/ }).count()).toBe(6);
  });

  it("renders Markdown and lets no HTML, script, foreign image or script link through", async () => {
    const { page } = browser;
    await startThread("markdown");
    await page.getByRole("heading", { name: "Result" }).waitFor();
    const reply = lastArticle();

    expect(await reply.textContent()).toContain("<script>window.hacked = 1</script>");
    expect(await page.evaluate("window.hacked")).toBeUndefined();
    expect(await reply.locator("img, script, b").count()).toBe(0);
    expect(await reply.locator("a[href^='javascript']").count()).toBe(0);
    const link = reply.getByRole("link", { name: "link", exact: true });
    expect(await link.getAttribute("rel")).toContain("noopener");
    expect(await link.getAttribute("target")).toBe("_blank");
    expect(await reply.getByRole("cell", { name: "v1.4.2" }).count()).toBe(1);
    expect(browser.complaints()).toEqual([]);
  });

  it("answers a question with the button of a choice", async () => {
    const { page } = browser;
    await startThread("where should it go?");
    await page.getByRole("button", { name: "staging" }).click();
    await page.getByText("You wrote staging.").waitFor();

    expect(gateway.sends.map(({ text }) => text)).toEqual(["staging"]);
    expect(await page.getByRole("button", { name: "staging" }).count()).toBe(0);
  });
});

describeWith(realChromium, "the timeline and the thread as a whole", () => {
  it("tells every event and each model call with its prompt, tokens, cost and latency", async () => {
    const { page } = browser;
    await startThread("hello");
    await page.getByText("You wrote hello.").waitFor();
    await page.getByRole("link", { name: "Timeline" }).click();
    await page.getByText("The run ends: replied").waitFor();

    const events = await page
      .getByRole("list")
      .filter({ hasText: "The run ends" })
      .getByRole("listitem")
      .count();
    expect(events).toBe(gateway.threads[0]!.log.length);
    const call = (await page.getByRole("row").nth(1).textContent()) ?? "";
    for (const part of [
      "stand-in",
      "offline stand-in",
      "primary",
      "v2",
      "9f2c4e11ab77",
      "1,180 → 60",
      "$0",
      "42 ms",
    ]) {
      expect(call).toContain(part);
    }
  });

  it("is paused with a reason, resumed, forked and cancelled from the menu", async () => {
    const { page } = browser;
    await startThread("hello");
    await page.getByText("You wrote hello.").waitFor();
    const choose = async (name: string) => {
      await page.getByRole("button", { name: "Actions on this thread" }).click();
      await page.getByRole("menuitem", { name }).click();
    };
    await choose("Pause…");
    await page.getByLabel("Reason").fill("lunch");
    await page.getByRole("button", { name: "Pause the thread" }).click();
    await inThread("Paused by Ada: lunch").waitFor();
    await choose("Resume");
    await inThread("Resumed by Ada").waitFor();
    await choose("Cancel…");
    await page.getByRole("button", { name: "Cancel the thread" }).click();
    await inThread("Cancelled by Ada").waitFor();
    await choose("Fork from here");
    await expect.poll(() => gateway.threads.length).toBe(2);
    await page.waitForURL(`${gateway.url}/threads/${gateway.threads[1]!.id}`);

    expect(browser.complaints()).toEqual([]);
  });
});

describeWith(realChromium, "deliveries", () => {
  it("are filtered, retried, and settled with a note in a dialog that returns the focus", async () => {
    const { page } = browser;
    await enter(page, gateway.url, "/deliveries", token);
    await page.getByLabel("Status").selectOption("uncertain");
    await expect.poll(() => page.getByRole("main").getByRole("listitem").count()).toBe(1);
    await page.getByRole("button", { name: "Settle…" }).click();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await expect.poll(() => page.evaluate("document.activeElement.textContent")).toBe("Settle…");
    await page.keyboard.press("Enter");
    await page.getByLabel("How do you know?").fill("I saw it there");
    await page.getByRole("dialog").getByRole("button", { name: "Settle" }).click();
    await page.getByText("Nothing is uncertain").waitFor();
    await page.getByLabel("Status").selectOption("failed");
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByText("Nothing is failed").waitFor();

    expect(gateway.deliveries.map(({ status }) => status)).toEqual(["sent", "pending", "sent"]);
    expect(browser.complaints()).toEqual([]);
  });
});
