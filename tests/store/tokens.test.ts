import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ids } from "../../gateway/ids.ts";
import { adminTokenId, type Tokens, tokens } from "../../store/tokens.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let db: TestDatabase;
let known: Tokens;
beforeAll(async () => {
  db = await testDatabase();
  known = tokens(db.database, ids);
});
beforeEach(() => db.database.run({ text: "truncate tokens cascade" }));
afterAll(() => db.close());

const make = (change: { expiresAt?: string } = {}) =>
  known.create({ name: "ci", person: "ann", scopes: ["metrics"], expiresAt: null, ...change });
const everything = async () =>
  JSON.stringify([
    await db.database.run({ text: "select * from tokens" }),
    await db.database.run({ text: "select * from sessions" }),
  ]);

it("stores hashes only", async () => {
  const { secret } = await make();
  const session = await known.openSession(secret);
  const stored = await everything();

  expect(stored).toContain(createHash("sha256").update(secret).digest("hex"));
  expect(stored).not.toContain(secret);
  expect(stored).not.toContain(session?.secret);
});

it("finds a token's owner by its secret alone", async () => {
  const { secret, token } = await make();

  expect(await known.find(secret)).toEqual({
    tokenId: token.tokenId,
    name: "ci",
    person: "ann",
    scopes: ["metrics"],
  });
  expect(await known.find(`${secret}x`)).toBeNull();
  expect(await known.find(createHash("sha256").update(secret).digest("hex"))).toBeNull();
});

it("does not find a token that expired, by the database's clock", async () => {
  const { secret } = await make({ expiresAt: new Date(Date.now() - 1_000).toISOString() });

  expect(await known.find(secret)).toBeNull();
  expect(await known.openSession(secret)).toBeNull();
  expect(await known.list({ before: null, limit: 10 })).toEqual([]);
});

it("lists live tokens page by page, newest first", async () => {
  const made = [];
  for (let index = 0; index < 3; index++) made.unshift((await make()).token.tokenId);
  const first = await known.list({ before: null, limit: 2 });
  const last = first.at(-1);
  const second = await known.list({
    before: { at: last?.createdAt ?? "", id: last?.tokenId ?? "" },
    limit: 2,
  });

  expect([...first, ...second].map(({ tokenId }) => tokenId)).toEqual(made);
});

describe("the admin token", () => {
  it("is made once, however many processes start at the same time", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => known.ensureAdminToken({})));
    const [secret] = made.filter((each) => each !== null);

    expect(made.filter((each) => each !== null)).toHaveLength(1);
    expect(await known.find(secret ?? "")).toMatchObject({
      tokenId: adminTokenId,
      person: "admin",
      scopes: ["admin"],
    });
  });

  it("is replaced by a configured one, whose sessions stay and the old one's end", async () => {
    const first = (await known.ensureAdminToken({})) ?? "";
    const session = await known.openSession(first);
    await known.ensureAdminToken({ configured: "from the environment" });

    expect(await known.find(first)).toBeNull();
    expect(await known.findSession(session?.secret ?? "")).toBeNull();
    const second = await known.openSession("from the environment");
    await known.ensureAdminToken({ configured: "from the environment" });
    expect(await known.findSession(second?.secret ?? "")).not.toBeNull();
  });

  it("is replaced when that is asked for", async () => {
    const first = (await known.ensureAdminToken({})) ?? "";
    const second = (await known.ensureAdminToken({ replace: true })) ?? "";

    expect(await known.find(first)).toBeNull();
    expect(await known.find(second)).not.toBeNull();
  });

  it("cannot be revoked: nobody could get in any more", async () => {
    await known.ensureAdminToken({});

    await expect(known.revoke(adminTokenId)).rejects.toThrow(/cannot be revoked/);
  });
});

describe("a session", () => {
  const age = (change: string) => db.database.run({ text: `update sessions set ${change}` });
  const open = async () => (await known.openSession((await make()).secret))?.secret ?? "";

  it("is prolonged by use, but not beyond seven days", async () => {
    const session = await open();
    await age("expires_at = now() + interval '1 hour'");
    await known.findSession(session);
    const [used] = await db.database.run({
      text: "select expires_at > now() + interval '11 hours' as longer from sessions",
    });
    expect(used?.longer).toBe(true);

    await age("created_at = now() - interval '6 days 23 hours', expires_at = now() + interval '10 minutes'");
    await known.findSession(session);
    const [late] = await db.database.run({
      text: "select expires_at <= created_at + interval '7 days' as bounded from sessions",
    });
    expect(late?.bounded).toBe(true);
    await age("created_at = now() - interval '7 days 1 second', expires_at = now() + interval '1 hour'");
    expect(await known.findSession(session)).toBeNull();
  });

  it("ends when nobody used it for twelve hours", async () => {
    const session = await open();
    await age("expires_at = now() - interval '1 second'");

    expect(await known.findSession(session)).toBeNull();
  });

  it("is not written at each reading", async () => {
    const session = await open();
    const xmin = async () => (await db.database.run({ text: "select xmin::text from sessions" }))[0]?.xmin;
    const before = await xmin();
    await known.findSession(session);

    expect(await xmin()).toBe(before);
  });

  it("is swept up, once it is over, when somebody signs in", async () => {
    await open();
    await age("expires_at = now() - interval '1 second'");
    await open();

    expect(await db.database.run({ text: "select 1 from sessions" })).toHaveLength(1);
  });

  it("ends with its token, and when it is closed", async () => {
    const { secret, token } = await make();
    const one = (await known.openSession(secret))?.secret ?? "";
    const two = (await known.openSession(secret))?.secret ?? "";
    await known.closeSession(one);
    expect([await known.findSession(one), (await known.findSession(two))?.person]).toEqual([null, "ann"]);
    await known.revoke(token.tokenId);

    expect(await known.findSession(two)).toBeNull();
  });
});
