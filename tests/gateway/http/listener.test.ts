import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Channel } from "../../../channels/channel.ts";
import { type Listener, listenOn } from "../../../gateway/http/listener.ts";
import { type Serving, serving } from "./serving.ts";

const received: string[] = [];
const hook: Channel = {
  name: "hook",
  maxSendsPerSecond: 1,
  sendIsIdempotent: true,
  ingress: {
    kind: "webhook",
    path: "/channels/hook",
    async receive(request, accept) {
      const text = await request.text();
      if (text === "cannot be stored") await accept({} as never);
      received.push(text);
      return new Response("thanks", { status: 202 });
    },
  },
  send: async ({ id }) => ({ platformId: id }),
  find: async () => "absent",
};

let s: Serving;
let listener: Listener;
beforeAll(async () => {
  s = await serving({
    webhooks: [
      {
        channel: hook,
        accept: async () => {
          throw new Error("database away");
        },
      },
    ],
  });
  listener = await s.http.listen({ host: "127.0.0.1", port: 0 });
  await mkdir(join(s.consoleFolder, "assets"));
  await writeFile(
    join(s.consoleFolder, "index.html"),
    '<meta name="csp-nonce" content="__CSP_NONCE__"><p>console</p>',
  );
  await writeFile(join(s.consoleFolder, "assets", "main-abc123.js"), "export {};");
  await writeFile(join(s.consoleFolder, "icon.svg"), "<svg/>");
  await writeFile(join(s.consoleFolder, ".secret.txt"), "secret");
  await writeFile(`${s.consoleFolder}-outside.txt`, "outside");
  await symlink(`${s.consoleFolder}-outside.txt`, join(s.consoleFolder, "link.txt"));
});
afterAll(async () => {
  await listener.close(500);
  await rm(`${s.consoleFolder}-outside.txt`);
  await s.close();
});

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${listener.url}${path}`, { headers });

/** Writes raw bytes and gives all that comes back until the server closes. */
function raw(port: number, send: (write: (text: string) => boolean) => void): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1");
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    socket.on("connect", () => send((text) => socket.write(text)));
  });
}

describe("the body limit", () => {
  const post = (
    body: string | Uint8Array<ArrayBuffer> | ReadableStream,
    headers: Record<string, string> = {},
  ) =>
    fetch(`${listener.url}/v1/threads`, {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${s.admin}`, "content-type": "application/json", ...headers },
      duplex: "half",
    } as RequestInit);

  it("refuses what is declared too large", async () => {
    const response = await post(JSON.stringify({ input: "x".repeat(30_000) }));

    expect([response.status, ((await response.json()) as { title: string }).title]).toEqual([
      413,
      "Too large",
    ]);
  });

  it("stops reading a stream without a declared length as soon as it is too large", async () => {
    let sent = 0;
    const endless = new ReadableStream({
      async pull(controller) {
        sent += 1_000;
        controller.enqueue(new TextEncoder().encode("x".repeat(1_000)));
        await sleep(1);
        if (sent > 20_000_000) controller.close();
      },
    });
    const status = await post(endless).then(
      (response) => response.status,
      () => 413, // The server hung up while we were still sending.
    );

    expect(status).toBe(413);
    expect(sent).toBeLessThan(5_000_000);
  });

  it.each([
    ["no media type", '{"input":"x"}', { "content-type": "" }, 415],
    ["a form's media type", "input=x", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["text that claims to be plain", '{"input":"x"}', { "content-type": "text/plain" }, 415],
    [
      "a parameter on the media type",
      '{"input":"x"}',
      { "content-type": "application/json; charset=utf-8" },
      201,
    ],
    ["broken JSON", '{"input":', {}, 400],
    ["bytes that are not UTF-8", new Uint8Array([0x22, 0xff, 0x22]), {}, 400],
  ])("answers a body with %s as it should", async (_, body, headers, status) => {
    expect((await post(body, headers)).status).toBe(status);
  });

  it("holds for webhooks, which otherwise get the raw body", async () => {
    const send = (body: string) => fetch(`${listener.url}/channels/hook`, { method: "POST", body });
    expect((await send("signed  bytes\n")).status).toBe(202);
    expect(received).toContain("signed  bytes\n");
    expect((await send("x".repeat(30_000))).status).toBe(413);
  });

  it("leaves a webhook unacknowledged when nothing could be stored", async () => {
    const response = await fetch(`${listener.url}/channels/hook`, {
      method: "POST",
      body: "cannot be stored",
    });

    expect(response.status).toBe(500);
    expect(received).not.toContain("cannot be stored");
  });
});

describe("the console's files", () => {
  it("come with a nonce of their own for each page, which is never kept", async () => {
    const [one, two] = [await get("/"), await get("/threads/some-id/timeline")];
    const nonceOf = async (response: Response) => {
      const nonce = /content="([^"]+)"/.exec(await response.text())?.[1] ?? "";
      expect(response.headers.get("content-security-policy")).toContain(`style-src 'self' 'nonce-${nonce}'`);
      return nonce;
    };
    const nonces = [await nonceOf(one), await nonceOf(two)];

    expect(new Set(nonces).size).toBe(2);
    expect(nonces[0]).toMatch(/^[\w+/]{24}$/);
    expect(one.headers.get("cache-control")).toBe("no-store");
    expect(one.headers.get("content-security-policy")).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonces[0]}'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
    );
  });

  it("may be kept for good when their name holds a hash", async () => {
    const asset = await get("/assets/main-abc123.js");

    expect(asset.headers.get("cache-control")).toContain("immutable");
    expect(asset.headers.get("content-type")).toContain("text/javascript");
    expect((await get("/icon.svg")).headers.get("cache-control")).toBe("no-cache");
  });

  it.each(["/assets/missing.js", "/nowhere", "/v1/nowhere", "/link.txt", "/assets", "/v1"])(
    "are 404 with a problem for %s",
    async (path) => {
      const response = await get(path);

      expect([response.status, response.headers.get("content-type")]).toEqual([
        404,
        "application/problem+json",
      ]);
    },
  );

  it.each([
    "/../../etc/hostname.txt",
    "/%2e%2e/%2e%2e/etc/hostname.txt",
    "/..%2f..%2fetc%2fhostname.txt",
    "/assets/..%5c..%5cx.txt",
    "/%00.txt",
    "/%zz.txt",
  ])("do not lead out of their folder by %s", async (path) => {
    const answer = await raw(listener.port, (write) =>
      write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
    );

    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
  });

  it("are answered with 503 while the console is not built", async () => {
    const unbuilt = await serving({ consoleFolder: "/nonexistent" });
    try {
      expect((await unbuilt.call("GET", "/")).status).toBe(503);
    } finally {
      await unbuilt.close();
    }
  });
});

describe("a slow sender", () => {
  it("is let go when the headers, or the whole request, take too long", async () => {
    const slow = await listenOn(
      s.http.app.fetch,
      { host: "127.0.0.1", port: 0 },
      {
        headersTimeout: 300,
        requestTimeout: 600,
        connectionsCheckingInterval: 50,
      },
    );
    try {
      const startedMs = Date.now();
      const [noHeaders, noBody] = await Promise.all([
        raw(slow.port, (write) => write("GET / HTTP/1.1\r\nHost: loc")),
        raw(slow.port, (write) =>
          write(
            `POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
          ),
        ),
      ]);
      expect(Date.now() - startedMs).toBeLessThan(5_000);
      expect(noHeaders).toContain("408");
      expect(noBody).not.toContain("200 OK");
    } finally {
      await slow.close(100);
    }
  });
});

describe("listening", () => {
  it("says which error the system gave when the port is taken", async () => {
    await expect(s.http.listen({ host: "127.0.0.1", port: listener.port })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  });

  it("cuts off what does not finish in the time it is given to close", async () => {
    const other = await listenOn(() => new Promise<Response>(() => {}), { host: "127.0.0.1", port: 0 });
    const hanging = fetch(other.url).catch((error: unknown) => error);
    await sleep(100);
    const startedMs = Date.now();
    await other.close(200);

    expect(Date.now() - startedMs).toBeLessThan(2_000);
    expect(await hanging).toBeInstanceOf(Error);
  });

  it("takes the listening port's own origins for a request by cookie", async () => {
    const signIn = await fetch(`${listener.url}/v1/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token: s.admin }),
    });
    const { csrfToken } = (await signIn.json()) as { csrfToken: string };
    const cookie = (signIn.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const ask = async (origin: string) => {
      const headers = { cookie, origin, "x-csrf-token": csrfToken, "content-type": "application/json" };
      const body = JSON.stringify({ input: "x" });
      return (await fetch(`${listener.url}/v1/threads`, { method: "POST", headers, body })).status;
    };

    expect(await ask(listener.url)).toBe(201);
    expect(await ask(`http://localhost:${listener.port}`)).toBe(201);
    expect(await ask("http://localhost")).toBe(403);
    expect(await ask(`http://localhost:${listener.port + 1}`)).toBe(403);
  });
});
