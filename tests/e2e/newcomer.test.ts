/**
 * The two commands of the README on a machine that has nothing but Node, npm and git: a fresh clone, an empty home, a bare
 * PATH, whatever Node npm itself runs on; as this user, and, when that is root, as an ordinary user, too.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Page, ThreadView } from "../../gateway/api.ts";
import { freePort } from "../support/redis.ts";
import { Client, until } from "./parley.ts";

const root = join(import.meta.dirname, "../..");
const isRoot = process.getuid?.() === 0;
/** Debian's `nobody`. */
const ordinary = { uid: 65_534, gid: 65_534 };
interface User {
  name: string;
  uid?: number;
  gid?: number;
}

/** It installs every package and fetches a Node twice: minutes that a developer's every run need not spend. */
const wanted = process.env.CI === "true" || process.env.PARLEY_TEST_FRESH_CLONE === "1";
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0))
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

const users: User[] = isRoot
  ? [{ name: "root" }, { name: "an ordinary user", ...ordinary }]
  : [{ name: "this user" }];

describe.skipIf(!wanted)(
  "on a fresh clone (set PARLEY_TEST_FRESH_CLONE=1 to run it outside CI)",
  { timeout: 300_000, retry: 1 },
  () => {
    it.each(users)(
      "npm ci && npm start lead $name to an approved deployment, over a kill -9",
      async (user) => {
        const place = clone(user);
        run(place, ["npm", "ci"]);
        const first = await start(place);
        const token = /#token=(\S+)/.exec(first.line)?.[1];
        expect(first.line).toContain(first.url);
        expect(first.seconds).toBeLessThan(20);

        const client = new Client({ url: first.url }, token);
        const page = await fetch(`${first.url}/`);
        expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<div id="root">')]);
        const thread = await client.startThread("deploy backend v1.4.2 to production", "deploybot", "key");
        const approval = await client.pendingApproval(thread.id);
        expect(approval.args).toMatchObject({ service: "backend", tag: "v1.4.2", environment: "production" });
        killNpm(first.child);
        await until("nothing is left running", () => processesOf(place.folder).length === 0, 25_000);

        const second = await start(place);
        const again = new Client({ url: second.url }, token);
        expect((await again.pendingApproval(thread.id)).id).toBe(approval.id);
        expect((await again.decide(approval.id, { verdict: "approve" })).status).toBe(200);
        const [answer] = await again.replies(thread.id);
        expect(answer).toContain("v1.4.2");
        const { body } = await again.call<Page<ThreadView>>("GET", "/v1/threads");
        expect(body.items).toMatchObject([{ id: thread.id, status: "done" }]);
        killNpm(second.child);
        await until("nothing is left running", () => processesOf(place.folder).length === 0, 25_000);
      },
    );
  },
);

interface Place {
  folder: string;
  spawning: { cwd: string; env: Record<string, string>; uid?: number; gid?: number };
}

function clone(user: User): Place {
  const folder = mkdtempSync(join(tmpdir(), "parley-fresh-"));
  folders.push(folder);
  const checkout = join(folder, "parley");
  const home = join(folder, "home");
  mkdirSync(home);
  execFileSync("git", ["clone", "--quiet", "--no-hardlinks", root, checkout]);
  if (user.uid !== undefined) chownAll(folder, user.uid, user.gid ?? user.uid);
  const ids = user.uid === undefined ? {} : { uid: user.uid, gid: user.gid ?? user.uid };
  return { folder, spawning: { cwd: checkout, env: { PATH: barePath(), HOME: home }, ...ids } };
}

/** Where node, npm and git are, and nothing of this project's tools. */
const barePath = (): string =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules") && !folder.includes("_npx"))
    .join(delimiter);

function chownAll(folder: string, uid: number, gid: number): void {
  chownSync(folder, uid, gid);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) chownSync(join(entry.parentPath, entry.name), uid, gid);
  }
}

function run({ spawning }: Place, [command = "", ...args]: string[]): void {
  execFileSync(command, args, { ...spawning, stdio: "pipe" });
}

async function start({
  spawning,
}: Place): Promise<{ child: ChildProcess; url: string; line: string; seconds: number }> {
  const port = await freePort();
  const startedAt = performance.now();
  const env = { ...spawning.env, PARLEY_PORT: String(port) };
  const child = spawn("npm", ["start"], { ...spawning, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout?.on("data", (chunk) => (output += chunk));
  child.stderr?.on("data", (chunk) => (output += chunk));
  const line = await until(
    "the line with the address",
    () => {
      if (child.exitCode !== null) throw new Error(`npm start ended:\n${output}`);
      return output.split("\n").find((text) => text.startsWith("Parley is at "));
    },
    60_000,
  );
  return { child, url: `http://127.0.0.1:${port}`, line, seconds: (performance.now() - startedAt) / 1_000 };
}

/** What closing the terminal by force does to npm: it is gone without a word to what it started. */
function killNpm(child: ChildProcess): void {
  child.kill("SIGKILL");
}

/** Processes whose command line or working folder names this folder. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder);
      } catch {
        return false;
      }
    });
}
