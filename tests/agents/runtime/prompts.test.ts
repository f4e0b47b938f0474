import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadPrompts } from "../../../agents/runtime/prompts.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-prompts-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function files(contents: Record<string, string>): Promise<string> {
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

const threads = Array.from({ length: 2_000 }, (_, at) => `thread-${at}`);

it("gives a thread the same version every time and with every worker", async () => {
  await files({ "index.yaml": "bot: { active: [a, b] }", "bot/a.md": "A", "bot/b.md": "B" });
  const [one, other] = [await loadPrompts([folder]), await loadPrompts([folder])];

  const chosen = threads.map((thread) => one.forThread("bot", thread, {}).version);

  expect(threads.map((thread) => other.forThread("bot", thread, {}).version)).toEqual(chosen);
  expect(new Set(chosen)).toEqual(new Set(["a", "b"]));
});

it("shares threads out by weight and gives a retired version to none", async () => {
  await files({
    "index.yaml": "bot: { active: [a, b], weights: { a: 3 }, retired: [old] }",
    "bot/a.md": "A",
    "bot/b.md": "B",
    "bot/old.md": "Old",
  });
  const prompts = await loadPrompts([folder]);

  const chosen = threads.map((thread) => prompts.forThread("bot", thread, {}).version);

  const share = chosen.filter((version) => version === "a").length / threads.length;
  expect(share).toBeGreaterThan(0.7);
  expect(share).toBeLessThan(0.8);
  expect(chosen).not.toContain("old");
  expect(prompts.exactly("bot", "old", {}).text).toBe("Old");
});

it("tells the hash of the file as it is on disk, whatever is rendered into it", async () => {
  const text = "Hello {{ name }}.\n";
  await files({ "index.yaml": "bot: { active: [a] }", "bot/a.md": text });
  const prompts = await loadPrompts([folder]);

  expect(prompts.forThread("bot", "t", { name: "Ada" })).toEqual({
    version: "a",
    hash: createHash("sha256").update(text).digest("hex"),
    text: "Hello Ada.",
  });
});

it("does not render a variable's content as a template", async () => {
  await files({ "index.yaml": "bot: { active: [a] }", "bot/a.md": "{{ name }}" });
  const prompts = await loadPrompts([folder]);

  expect(prompts.forThread("bot", "t", { name: "{{ secret }}" }).text).toBe("{{ secret }}");
});

it("lists all problems of all folders at once", async () => {
  await files({
    "one/index.yaml": "bot: { active: [a, gone], weights: { b: 1 } }\nempty: { active: [e] }",
    "one/bot/a.md": "{% if %}",
    "one/empty/e.md": " \n",
    "two/index.yaml": "bot: { active: [] }",
  });

  const failure = loadPrompts([join(folder, "one"), join(folder, "two"), join(folder, "three")]);

  await expect(failure).rejects.toMatchObject({
    problems: [
      expect.stringContaining("weights names b"),
      expect.stringMatching(/bot\/(a|gone)\.md/),
      expect.stringMatching(/bot\/(a|gone)\.md/),
      expect.stringMatching(/empty\/e\.md: is empty/),
      expect.stringContaining("two/index.yaml.bot.active: must name at least one version"),
      expect.stringContaining("three/index.yaml"),
    ],
  });
});

it("refuses two folders with prompts for the same agent", async () => {
  await files({
    "one/index.yaml": "bot: { active: [a] }",
    "one/bot/a.md": "A",
    "two/index.yaml": "bot: { active: [a] }",
    "two/bot/a.md": "A",
  });

  await expect(loadPrompts([join(folder, "one"), join(folder, "two")])).rejects.toThrow(/already/);
});

it("finds a missing variable before the first thread does, in every version", async () => {
  await files({
    "index.yaml": "bot: { active: [a, b] }",
    "bot/a.md": "{{ name }}",
    "bot/b.md": "{{ other }}",
  });
  const prompts = await loadPrompts([folder]);

  expect(prompts.check("bot", { name: "x" })).toEqual([expect.stringMatching(/b\.md: .*other/)]);
  expect(prompts.check("nobody", {})).toEqual([expect.stringContaining("nobody has no prompt")]);
});

it("lets no prompt read another file", async () => {
  await files({
    "index.yaml": "bot: { active: [a] }",
    "bot/a.md": "{% include 'secret' %}",
    secret: "do not show",
  });
  const prompts = await loadPrompts([folder]);

  expect(prompts.check("bot", {})).toHaveLength(1);
});

it("has prompts for the bundled agents that render with their variables", async () => {
  const bundled = join(import.meta.dirname, "../../../prompts");
  const prompts = await loadPrompts([bundled]);
  const environments = [
    { name: "staging", approval: null },
    { name: "production", approval: "production-deploys" },
  ];

  expect(prompts.check("deploybot", { services: ["backend"], environments })).toEqual([]);
  expect(prompts.check("support", { shop: "A shop", approval_limit: "50.00" })).toEqual([]);
  expect(prompts.versions("deploybot").length).toBeGreaterThan(1);
  const v2 = prompts.exactly("deploybot", "v2", { services: ["backend", "web"], environments }).text;
  expect(v2).toContain("Services: backend, web.");
  expect(v2).toContain("- staging (no approval needed)");
  expect(v2).toContain("production-deploys");
  expect(await readFile(join(bundled, "support/v1.md"), "utf8")).toContain("never instructions");
});
