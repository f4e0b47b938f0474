import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Serving, serving } from "./serving.ts";

let s: Serving;
beforeAll(async () => {
  s = await serving();
});
afterAll(() => s.close());

const origin = { origin: "http://localhost" };

async function signIn(on: Serving = s, token: string = on.admin) {
  const answer = await on.call("POST", "/v1/session", { token: null, body: { token } });
  const setCookie = answer.headers.get("set-cookie") ?? "";
  return { ...answer, setCookie, cookie: setCookie.split(";")[0] ?? "" };
}

describe("signing in", () => {
  it("turns a token into a cookie that no script can read and no other site sends", async () => {
    const { status, setCookie, body, text } = await signIn();

    expect(status).toBe(200);
    expect(setCookie).toMatch(/^parley_session=session_[\w-]{43}; /);
    expect(setCookie).toContain("HttpOnly");
    expect(setCookie).toContain("SameSite=Strict");
    expect(setCookie).toContain("Path=/");
    expect(setCookie).not.toContain("Secure");
    expect(body).toMatchObject({ person: "admin", roles: ["admin"], scopes: ["admin"] });
    expect(text).not.toContain(s.admin);
  });

  it("binds the cookie to https when the public address is https", async () => {
    const secure = await serving({ publicUrl: "https://parley.example" });
    try {
      const { setCookie, headers } = await signIn(secure);
      expect(setCookie).toMatch(/^__Host-parley_session=/);
      expect(setCookie).toContain("Secure");
      expect(headers.get("strict-transport-security")).toContain("max-age");
    } finally {
      await secure.close();
    }
  });

  it("says who is signed in, with the token for requests that change something", async () => {
    const { cookie, body } = await signIn();
    const session = await s.call("GET", "/v1/session", { token: null, headers: { cookie } });

    expect(session.body).toEqual(body);
    expect(session.body.csrfToken).toMatch(/^csrf_/);
  });

  it("is over after signing out", async () => {
    const { cookie, body } = await signIn();
    const headers = { cookie, ...origin, "x-csrf-token": body.csrfToken };
    const out = await s.call("DELETE", "/v1/session", { token: null, headers });

    expect(out.status).toBe(204);
    expect(out.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await s.call("GET", "/v1/session", { token: null, headers: { cookie } })).status).toBe(401);
  });

  it("ends when its token is revoked", async () => {
    const made = await s.call("POST", "/v1/tokens", {
      body: { name: "x", person: "ann", scopes: ["threads:read"] },
    });
    const { cookie, body } = await signIn(s, made.body.token);
    expect(body).toMatchObject({ name: "Ann", person: "ann", roles: ["ops"] });
    await s.call("DELETE", `/v1/tokens/${made.body.id}`);

    expect((await s.call("GET", "/v1/session", { token: null, headers: { cookie } })).status).toBe(401);
  });

  it("is refused to another site's page", async () => {
    const answer = await s.call("POST", "/v1/session", {
      token: null,
      body: { token: s.admin },
      headers: { origin: "http://evil.example" },
    });

    expect(answer.status).toBe(403);
  });

  it("is limited for each address, and succeeds again when the time is over", async () => {
    let nowMs = Date.now();
    const limited = await serving({ clock: { now: () => new Date(nowMs) } });
    try {
      const guesses = await Promise.all(Array.from({ length: 15 }, () => signIn(limited, "parley_guess")));
      expect(guesses.filter(({ status }) => status === 401)).toHaveLength(10);
      expect(guesses.filter(({ status }) => status === 429)).toHaveLength(5);
      const refused = await signIn(limited);
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(200);
      nowMs += 5 * 60_000;
      expect((await signIn(limited)).status).toBe(200);
    } finally {
      await limited.close();
    }
  });

  it("does not count what succeeds", async () => {
    for (let index = 0; index < 12; index++) expect((await signIn()).status).toBe(200);
  });
});

describe("a request by cookie that changes something", () => {
  it.each([
    ["our own origin and token", { origin: "http://localhost" }, "own", 201],
    ["the loopback address as origin", { origin: "http://127.0.0.1" }, "own", 201],
    ["no origin", {}, "own", 403],
    ["another origin", { origin: "http://evil.example" }, "own", 403],
    ["another port", { origin: "http://localhost:8080" }, "own", 403],
    ["https instead of http", { origin: "https://localhost" }, "own", 403],
    ["an opaque origin", { origin: "null" }, "own", 403],
    ["a lookalike", { origin: "http://localhost.evil.example" }, "own", 403],
    ["no csrf token", { origin: "http://localhost" }, "none", 403],
    ["another session's csrf token", { origin: "http://localhost" }, "other", 403],
  ])("with %s is answered as it should be", async (_, headers, which, status) => {
    const [mine, other] = [await signIn(), await signIn()];
    const token = { own: mine.body.csrfToken, other: other.body.csrfToken, none: undefined }[which];
    const all = {
      ...headers,
      cookie: mine.cookie,
      ...(token === undefined ? {} : { "x-csrf-token": token }),
    };

    expect(
      (await s.call("POST", "/v1/threads", { token: null, headers: all, body: { input: "x" } })).status,
    ).toBe(status);
  });

  it("needs neither with a bearer token, whatever cookie comes with it", async () => {
    const { cookie } = await signIn();
    const headers = { cookie, origin: "http://elsewhere.example" };

    expect((await s.call("POST", "/v1/threads", { headers, body: { input: "x" } })).status).toBe(201);
  });

  it("does not fall back to the cookie when the bearer token is wrong", async () => {
    const { cookie } = await signIn();

    expect((await s.call("GET", "/v1/threads", { token: "parley_wrong", headers: { cookie } })).status).toBe(
      401,
    );
  });
});

describe("the public address", () => {
  it("is an origin of ours, beside the listening address", async () => {
    const open = await serving({ publicUrl: "https://parley.example/" });
    try {
      const { cookie, body } = await signIn(open);
      const ask = async (from: string) => {
        const headers = { cookie, origin: from, "x-csrf-token": body.csrfToken };
        return (await open.call("POST", "/v1/threads", { token: null, headers, body: { input: "x" } }))
          .status;
      };
      expect(await ask("https://parley.example")).toBe(201);
      expect(await ask("http://parley.example")).toBe(403);
      expect(await ask("https://parley.example.evil.example")).toBe(403);
    } finally {
      await open.close();
    }
  });
});

describe("the Host header", () => {
  it.each([
    ["localhost", 200],
    ["localhost:9999", 200],
    ["127.0.0.1:7470", 200],
    ["[::1]:7470", 200],
    ["evil.example", 421],
    ["evil.example:7470", 421],
    ["localhost.evil.example", 421],
    ["local host", 421],
  ])("%s is answered with %d while only this machine is meant to reach us", async (host, status) => {
    expect((await s.call("GET", "/healthz", { headers: { host } })).status).toBe(status);
  });

  it("may be anything once there is a public address", async () => {
    const open = await serving({ publicUrl: "https://parley.example" });
    try {
      expect((await open.call("GET", "/healthz", { headers: { host: "parley.example" } })).status).toBe(200);
    } finally {
      await open.close();
    }
  });
});
