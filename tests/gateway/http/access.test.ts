import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Route } from "../../../gateway/http/route.ts";
import { type Scope, scopes } from "../../../gateway/http/scopes.ts";
import { type Serving, serving } from "./serving.ts";

let s: Serving;
beforeAll(async () => {
  s = await serving();
});
afterAll(() => s.close());

const absent = "01900000-0000-7000-8000-000000000000";
const at = ({ path }: Route): string => path.replace(/:\w+/g, absent);
const ask = (route: Route, token: string | null) =>
  s.call(route.method.toUpperCase(), at(route), {
    token,
    ...(route.method === "post" ? { body: {} } : {}),
  });

describe("every route", () => {
  it("answers 401 with a challenge without a token, and with a wrong one, unless it is public", async () => {
    for (const route of s.http.routes) {
      for (const token of [null, "parley_wrong", "spa ce"]) {
        const { status, headers } = await ask(route, token);
        if (route.access === "public") expect([route.path, status]).not.toEqual([route.path, 401]);
        else
          expect([route.path, status, headers.get("www-authenticate")]).toEqual([
            route.path,
            401,
            'Bearer realm="parley"',
          ]);
      }
    }
  });

  it("lets exactly its own scope and admin through", async () => {
    const tokens = new Map<Scope, string>();
    for (const scope of scopes) tokens.set(scope, await s.tokenWith(scope));
    for (const route of s.http.routes) {
      for (const [scope, token] of tokens) {
        const { status, text } = await ask(route, token);
        const allowed = ["public", "signed_in", scope].includes(route.access) || scope === "admin";
        const refused = status === 403 && text.includes("scope");
        // Signing in with an empty body is refused for the body, not for the token.
        expect([route.method, route.path, scope, refused]).toEqual([
          route.method,
          route.path,
          scope,
          !allowed,
        ]);
      }
    }
  });

  it("answers 405 and names what it takes for every other method", async () => {
    for (const path of new Set(s.http.routes.map(at))) {
      const { status, headers, body } = await s.call("PUT", path);

      expect([path, status, body.status]).toEqual([path, 405, 405]);
      expect(headers.get("allow")).toMatch(/GET|POST|DELETE/);
    }
  });

  it("carries the headers that keep a browser safe", async () => {
    for (const route of s.http.routes) {
      const { headers } = await ask(route, null);

      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

it("answers what does not exist with a problem", async () => {
  for (const path of ["/v1/nothing", "/etc/passwd", "/channels/slack"]) {
    const { status, headers, body } = await s.call("GET", path);

    expect(status).toBe(404);
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect(body).toMatchObject({ type: "urn:parley:problem:not-found", title: "Not found", status: 404 });
  }
});

describe("a token", () => {
  it("works until it expires or is revoked, and its secret is shown once", async () => {
    const made = await s.call("POST", "/v1/tokens", {
      body: { name: "ci", person: "ann", scopes: ["threads:read", "threads:read"] },
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ name: "ci", person: "ann", scopes: ["threads:read"], expiresAt: null });
    const use = () => s.call("GET", "/v1/threads", { token: made.body.token });
    expect((await use()).status).toBe(200);

    const { body } = await s.call("GET", "/v1/tokens");
    expect(body.items.map((token: { id: string }) => token.id)).toContain(made.body.id);
    expect(JSON.stringify(body)).not.toContain(made.body.token);

    expect((await s.call("DELETE", `/v1/tokens/${made.body.id}`)).status).toBe(204);
    expect((await use()).status).toBe(401);
    expect((await s.call("DELETE", `/v1/tokens/${made.body.id}`)).status).toBe(404);
  });

  it("is not made with an unknown scope or a time that has passed", async () => {
    const make = (change: object) =>
      s.call("POST", "/v1/tokens", { body: { name: "x", person: "ann", scopes: ["admin"], ...change } });

    expect((await make({ scopes: ["root"] })).status).toBe(400);
    expect((await make({ expiresAt: "2020-01-01T00:00:00Z" })).status).toBe(400);
    expect((await make({ expiresAt: "2999-01-01T00:00:00Z" })).status).toBe(201);
  });

  it("never reaches a log line", async () => {
    const made = await s.call("POST", "/v1/tokens", {
      body: { name: "l", person: "ann", scopes: ["metrics"] },
    });
    await s.call("GET", "/metrics", { token: made.body.token });
    await s.call("POST", "/v1/session", { token: null, body: { token: made.body.token } });

    expect(s.logged.length).toBeGreaterThan(0);
    expect(JSON.stringify(s.logged)).not.toContain(made.body.token);
    expect(s.requests.at(-1)).toMatchObject({ method: "POST", route: "/v1/session", status: 200 });
  });
});

describe("health", () => {
  it("says that the process lives, without asking anything else", async () => {
    const { status, body } = await s.call("GET", "/healthz", { token: null });

    expect([status, body]).toEqual([200, { name: "parley", status: "ok" }]);
  });

  it("is ready with a migrated database", async () => {
    expect((await s.call("GET", "/readyz", { token: null })).body).toEqual({ status: "ready", reasons: [] });
  });

  it("is not ready without the database or with migrations missing, and says which", async () => {
    const { testDatabase } = await import("../../support/database.ts");
    const empty = await testDatabase({ migrated: false });
    const unprepared = await serving({ database: empty.database });
    try {
      const missing = await unprepared.call("GET", "/readyz", { token: null });
      expect([missing.status, missing.body.reasons]).toEqual([
        503,
        ["The database lacks the migrations 0001_spine."],
      ]);
      await empty.close();
      const away = await unprepared.call("GET", "/readyz", { token: null });
      expect([away.status, away.body.reasons]).toEqual([503, ["The database does not answer."]]);
      expect((await unprepared.call("GET", "/healthz", { token: null })).status).toBe(200);
    } finally {
      await unprepared.close();
    }
  });

  it("gives the metrics as text", async () => {
    const { headers, text } = await s.call("GET", "/metrics");

    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4");
    expect(text).toBe("parley_up 1\n");
  });
});

it("answers a failure of ours with an id that the log has, and with nothing of what went wrong", async () => {
  const broken = await serving({
    status: () => {
      throw new TypeError("secret detail of a stack");
    },
  });
  try {
    const { status, body, text } = await broken.call("GET", "/v1/status");
    const line = broken.logged.find(({ event }) => event === "request_failed");

    expect(status).toBe(500);
    expect(text).not.toContain("secret detail");
    expect(body.instance).toBe(`urn:uuid:${line?.fields.errorId}`);
    expect(line?.fields.error).toBe("secret detail of a stack");
  } finally {
    await broken.close();
  }
});

it("answers 503 while the database is away, for what it cannot store", async () => {
  const away = await serving();
  await away.db.close();
  const { status, headers } = await away.call("POST", "/v1/threads", { body: { input: "x" } });

  expect(status).toBe(503);
  expect(headers.get("retry-after")).toBe("2");
});
