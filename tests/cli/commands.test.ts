import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type FakeParley, startFakeParley, token } from "./fake-parley.ts";
import { emptyFolder, parley } from "./parley.ts";

const root = join(import.meta.dirname, "../..");
const commands = [
  "start",
  "chat",
  "doctor",
  "threads",
  "approvals",
  "deliveries",
  "prompts",
  "eval",
  "replay",
];

const ask = (server: FakeParley, ...args: string[]) =>
  parley([...args, "--url", server.url, "--token", token]);

async function serverWith(...messages: string[]): Promise<FakeParley> {
  const server = await startFakeParley();
  for (const input of messages) {
    const response = await fetch(`${server.url}/v1/threads`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ input }),
    });
    await response.arrayBuffer();
  }
  const quiet = () =>
    [...server.threads.values()].every((events) =>
      events.some(({ type }) => /approval_r|run_ended/.test(type)),
    );
  await expect.poll(quiet).toBe(true);
  return server;
}

describe("help", () => {
  it("has examples and --json for every command, and the documentation names each", async () => {
    const documented = readFileSync(join(root, "docs/cli.md"), "utf8");
    const helps = await Promise.all(commands.map((command) => parley([command, "--help"])));
    helps.forEach(({ code, out }, index) => {
      const command = commands[index] ?? "";
      expect(code).toBe(0);
      expect(out).toContain(`$ parley ${command}`);
      expect(documented).toContain(`parley ${command}`);
    });
  });

  it.each([
    [[]],
    [["chatt"]],
    [["start", "--role", "boss"]],
    [["threads", "fork", "t1", "--at", "soon"]],
    [["approvals", "reject", "X"]],
  ])("with a wrong command line %j ends with 2 and without a stack", async (args) => {
    const { code, err } = await parley(args);
    expect(code).toBe(2);
    expect(err).not.toContain("    at ");
  });
});

describe("finding the server", () => {
  it("takes host, port and token from the environment, and the token from the data folder without one", async () => {
    const server = await startFakeParley();
    const port = new URL(server.url).port;
    const cwd = emptyFolder();
    const without = await parley(["threads"], { env: { PARLEY_PORT: port }, cwd });
    expect(without).toMatchObject({ code: 4, err: expect.stringContaining("No token was found") });
    const byEnv = await parley(["threads"], { env: { PARLEY_PORT: port, PARLEY_ADMIN_TOKEN: token }, cwd });
    expect(byEnv).toMatchObject({ code: 0, out: "There are no such threads.\n" });
    writeFileSync(join(cwd, "admin-token"), `${token}\n`);
    const byFile = await parley(["threads"], { env: { PARLEY_PORT: port, PARLEY_DATA_DIR: cwd }, cwd });
    expect(byFile.code).toBe(0);
  });

  it("says plainly when nothing listens, with code 3", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    await once(closed.close(), "close");
    const { code, err } = await parley(["threads"], { env: { PARLEY_PORT: String(port) } });
    expect(code).toBe(3);
    expect(err).toContain(`No Parley answers at http://127.0.0.1:${port} (nothing listens there)`);
  });

  it("is not misled by another program's answer", async () => {
    const other = createServer((_, response) => response.end("<html>hello</html>")).listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const { code, err } = await parley(["threads"], { env: { PARLEY_PORT: String(port) } });
    expect(code).toBe(1);
    expect(err).toContain("Is it a Parley of the same version?");
  });
});

describe("threads", () => {
  it("are listed as an aligned table without colour, and as JSON", async () => {
    const server = await serverWith("hello \u001b[31mred", "deploy it");
    const { out } = await ask(server, "threads", "list");
    const [head, ...rows] = out.trimEnd().split("\n");
    expect(head).toMatch(/^ID +STATUS +AGENT +UPDATED +TITLE$/);
    expect(rows.map((row) => row.indexOf("deploybot"))).toEqual(Array(2).fill(head?.indexOf("AGENT")));
    expect(out).toContain("hello \\u{1b}[31mred");
    expect(out).not.toContain("\u001b");
    const listed = JSON.parse((await ask(server, "threads", "list", "--json")).out) as { id: string }[];
    expect(listed.map(({ id }) => id)).toEqual(["thread-1", "thread-2"]);
  });

  it("are shown with everything that happened", async () => {
    const server = await serverWith("hello");
    const { out } = await ask(server, "threads", "show", "thread-1");
    expect(out).toContain("Admin: hello");
    expect(out).toContain("reply: You said: hello");
    expect(out).toContain("run ended: replied");
  });

  it("take messages and a pause with its reason", async () => {
    const server = await serverWith("hello");
    expect((await ask(server, "threads", "send", "thread-1", "more")).code).toBe(0);
    expect((await ask(server, "threads", "pause", "thread-1", "--reason", "lunch")).out).toBe(
      "The thread is paused.\n",
    );
    expect(server.requests.at(-1)).toMatchObject({
      path: "/v1/threads/thread-1/pause",
      body: { reason: "lunch" },
    });
  });

  it("that do not exist end with 4", async () => {
    const server = await startFakeParley();
    expect(await ask(server, "threads", "show", "nope")).toMatchObject({
      code: 4,
      err: "There is no such thread.\n",
    });
  });
});

describe("approvals", () => {
  it("are found by their code on a later page, shown whole, and approved once", async () => {
    const server = await serverWith("deploy 1", "deploy 2", "deploy 3");
    expect((await ask(server, "approvals")).out).toContain("CODE03  pending  deploybot");
    const shown = await ask(server, "approvals", "show", "code03");
    expect(shown.out).toContain('  service  "backend"');
    expect(shown.out).toContain("0123456789abcdef");
    const approved = await ask(server, "approvals", "approve", "CODE03");
    expect(approved).toMatchObject({ code: 0, out: expect.stringContaining("Approved: deploy (CODE03)") });
    const again = await ask(server, "approvals", "approve", "CODE03");
    expect(again).toMatchObject({ code: 4, err: "Already decided by Bob: rejected.\n" });
  });

  it("are rejected with a reason, edited in one argument, and asked back", async () => {
    const server = await serverWith("deploy 1", "deploy 2");
    await ask(server, "approvals", "ask", "CODE01", "--question", "why now?");
    await ask(server, "approvals", "reject", "CODE01", "--reason", "too late");
    await ask(server, "approvals", "edit", "CODE02", "--set", "tag=v2", "--set", "dry=true");
    const sent = server.requests.filter(({ path }) => path.endsWith("/decision")).map(({ body }) => body);
    expect(sent).toEqual([
      { verdict: "ask_back", reason: "why now?" },
      { verdict: "reject", reason: "too late" },
      { verdict: "edit", args: { service: "backend", tag: "v2", dry: true } },
    ]);
  });
});

it("deliveries are listed, retried and settled", async () => {
  const server = await startFakeParley();
  expect((await ask(server, "deliveries", "list", "--status", "uncertain")).out).toContain("broke off");
  expect((await ask(server, "deliveries", "retry", "d1")).out).toBe("It is back in line.\n");
  expect((await ask(server, "deliveries", "settle", "d1", "sent", "--note", "seen")).code).toBe(0);
  expect(server.requests.at(-1)?.body).toEqual({ outcome: "sent", note: "seen" });
});

describe("replay", () => {
  it("prints the status step by step and agrees with the server", async () => {
    const server = await serverWith("deploy it");
    const { code, out } = await ask(server, "replay", "thread-1");
    expect(code).toBe(0);
    expect(out).toMatch(/waiting \(approval\) .*approval CODE01 asked for deploy/);
    expect(out).toContain("the server's state equals the log");
  });

  it("fails when the server's state is not what the log says, naming the difference", async () => {
    const server = await serverWith("hello");
    server.wrongState = true;
    const { code, err } = await ask(server, "replay", "thread-1");
    expect(code).toBe(1);
    expect(err).toContain("differs from the replayed log in: errorsInRow");
  });
});

describe("prompts", () => {
  it("are listed with hashes and shown without a running server", async () => {
    const { code, out } = await parley(["prompts", "list", "--json"]);
    expect(code).toBe(0);
    const versions = JSON.parse(out) as { agent: string; hash: string }[];
    expect(new Set(versions.map(({ agent }) => agent))).toEqual(new Set(["deploybot", "support"]));
    expect(versions[0]?.hash).toMatch(/^[0-9a-f]{64}$/);
    expect((await parley(["prompts", "show", "support"])).out.length).toBeGreaterThan(200);
    expect((await parley(["prompts", "show", "nobody"])).code).toBe(4);
  });

  it("show the exact messages of a step, found by its number", async () => {
    const server = await serverWith("hello");
    const { out } = await ask(server, "prompts", "messages", "thread-1", "--step", "1");
    expect(out).toContain("[system]\nBe kind.\\u{202e}");
    expect(server.requests.at(-1)?.path).toMatch(/\/steps\/step-\d+\/prompt$/);
    expect((await ask(server, "prompts", "messages", "thread-1", "--step", "9")).code).toBe(4);
  });
});

describe("doctor", () => {
  it("says for each check how it stands", async () => {
    const { code, out } = await parley(["doctor"], {
      env: { PARLEY_PORT: "47470", REDIS_URL: "redis://127.0.0.1:9" },
    });
    expect(code).toBe(1);
    expect(out).toMatch(/^ok {4}Node/);
    expect(out).toMatch(/fail {2}Redis +does not answer\n +Fix: check REDIS_URL/);
    expect(out).toMatch(/ok {4}port +127\.0\.0\.1 port 47470 is free/);
  });

  it("lists configuration problems with code 2", async () => {
    const { code, out } = await parley(["doctor", "--json"], {
      env: { DISCORD_BOT_TOKEN: "t", PARLEY_PORT: "x" },
    });
    expect(code).toBe(2);
    const failed = (JSON.parse(out) as { name: string; outcome: string }[]).filter(
      ({ outcome }) => outcome === "fail",
    );
    expect(failed.map(({ name }) => name)).toEqual(["PARLEY_PORT", "DISCORD_APPLICATION_ID"]);
  });

  it("proves a key with --live against the endpoint, and names a model that is not there", async () => {
    const endpoint = createServer((request, response) => {
      const good = request.headers.authorization === "Bearer good";
      response.writeHead(good ? 200 : 401, { "content-type": "application/json" });
      response.end(JSON.stringify({ data: [{ id: "small" }] }));
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void endpoint.close());
    await once(endpoint, "listening");
    const OPENAI_BASE_URL = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/v1`;
    const model = async (env: { [name: string]: string }) => {
      const { out } = await parley(["doctor", "--live"], {
        env: { OPENAI_BASE_URL, PARLEY_PORT: "47471", ...env },
      });
      return out.split("\n").find((line) => /^\w+ +model /.test(line));
    };
    expect(await model({ OPENAI_API_KEY: "good", PARLEY_MODEL: "small" })).toMatch(/^ok .*small is there/);
    expect(await model({ OPENAI_API_KEY: "good", PARLEY_MODEL: "big" })).toMatch(/^warn .*big is not listed/);
    expect(await model({ OPENAI_API_KEY: "bad", PARLEY_MODEL: "small" })).toMatch(/^fail .*not accepted/);
  });
});

it("start tells a wrong configuration and a port in use in one list, and exits with 2", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void holder.close());
  await once(holder, "listening");
  const { port } = holder.address() as AddressInfo;
  const { code, err, out } = await parley(["start"], {
    env: { PARLEY_PORT: String(port), EMAIL_ADDRESS: "a@example.com" },
  });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain("3 problems to solve first");
  expect(err).toContain("IMAP_URL");
  expect(err).toContain("SMTP_URL");
  expect(err).toContain(`The port is in use by another program at 127.0.0.1.`);
});
