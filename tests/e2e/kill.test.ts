/**
 * kill -9 in the middle of an accept, a model call, a tool run, a pending approval and a delivery. After a restart every
 * message has one visible outcome, and what was approved ran once. A lock in the database, held by the test, keeps the
 * program exactly where it is to be killed: production code has no hooks for it.
 */
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { type ModelServer, modelServer, type ScriptedStep } from "./model-server.ts";
import { Client, type Home, home, ledgerLines, until } from "./parley.ts";
import { layToolbox } from "./toolbox.ts";

let database: TestDatabase;
let place: Home;
let ledger: string;
let model: ModelServer;
let script: (context: string, call: number) => ScriptedStep;
let holder: pg.Client;

beforeEach(async () => {
  database = await testDatabase();
  model = await modelServer((context, call) => script(context, call));
  place = await home({ DATABASE_URL: database.url, OPENAI_BASE_URL: model.url, PARLEY_MODEL: "scripted" });
  ledger = layToolbox(place.folder);
  holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
});

afterEach(async () => {
  await place.close();
  await holder.end();
  await model.close();
  await database.close();
});

const reply = (text: string): ScriptedStep => ({ intent: "reply", text });
const use = (intent: string, ms = 0): ScriptedStep => ({ intent, args: { what: "it", ms } });

/** A backend of the program waits for the test's lock. */
const programWaits = () =>
  until("the program waits for the lock", async () => {
    const { rows } = await holder.query(
      "select 1 from pg_stat_activity where application_name = 'parley' and wait_event_type = 'Lock'",
    );
    return rows.length > 0;
  });

describe("kill -9", { timeout: 90_000 }, () => {
  it("in an accept loses nothing: the message was not acknowledged, and its repetition is one thread", async () => {
    script = () => reply("Hello.");
    const first = await place.start();
    await holder.query("begin; lock table events in share mode");
    const unanswered = new Client(first).startThread("hello", "toolbox", "key-1").then(
      () => "acknowledged",
      () => "not acknowledged",
    );
    await programWaits();
    await first.kill();
    await holder.query("rollback");
    expect(await unanswered).toBe("not acknowledged");

    const client = new Client(await place.start());
    const thread = await client.startThread("hello", "toolbox", "key-1");
    const again = await client.startThread("hello", "toolbox", "key-1");
    expect(again.id).toBe(thread.id);
    expect(await client.replies(thread.id)).toEqual(["Hello."]);
    const events = await client.events(thread.id);
    expect(events.filter(({ type }) => type === "message_received")).toHaveLength(1);
  });

  it("in a model call leads to one answer, by a second call", async () => {
    script = (_, call) => (call === 1 ? "hang" : reply("Here I am."));
    const first = await place.start();
    const thread = await new Client(first).startThread("hello", "toolbox", "key-1");
    await until("the model was asked", () => model.requests.length === 1);
    await first.kill();

    const client = new Client(await place.start());
    expect(await client.replies(thread.id)).toEqual(["Here I am."]);
    await until("the thread rests", async () => (await client.thread(thread.id)).status === "done");
    expect(model.requests).toHaveLength(2);
  });

  it("in a tool run goes on by the tool's effect, without asking the model again", async () => {
    script = (context) => (context.includes("<tool_result") ? reply("Done.") : use("keyed", 3_000));
    const first = await place.start();
    const thread = await new Client(first).startThread("do it", "toolbox", "key-1");
    await until("the tool runs", () => ledgerLines(ledger).length === 1);
    await first.kill();
    expect(model.requests).toHaveLength(1);

    const client = new Client(await place.start());
    expect(await client.replies(thread.id)).toEqual(["Done."]);
    const [begun, begunAgain, ended, ...more] = ledgerLines(ledger).map((line) => line.split(" "));
    expect(more).toEqual([]);
    expect([begun?.[4], begunAgain?.[4], ended?.[0]]).toEqual(["1", "2", "end"]);
    // The same idempotency key both times: that is what makes running it again safe.
    expect(begunAgain?.[3]).toBe(begun?.[3]);
    expect(model.requests).toHaveLength(2);
  });

  it("in a run of a `once` tool asks a person, and never runs it again", async () => {
    script = (context) => (context.includes("<tool_result") ? reply("Good.") : use("once", 20_000));
    const first = await place.start();
    const thread = await new Client(first).startThread("do it", "toolbox", "key-1");
    await until("the tool runs", () => ledgerLines(ledger).length === 1);
    await first.kill();

    const client = new Client(await place.start());
    await until("a person is asked", async () =>
      (await client.events(thread.id)).some((event) => event.type === "question_asked"),
    );
    await client.call("POST", `/v1/threads/${thread.id}/messages`, { text: "yes", idempotencyKey: "answer" });
    expect(await client.replies(thread.id)).toEqual(["Good."]);
    expect(ledgerLines(ledger)).toHaveLength(1);
  });

  it("with an approval pending loses neither the request nor the decision, and what was approved runs once", async () => {
    script = (context) => (context.includes("<tool_result") ? reply("Done.") : use("guarded"));
    const first = await place.start();
    const thread = await new Client(first).startThread("do it", "toolbox", "key-1");
    const asked = await new Client(first).pendingApproval(thread.id);
    await first.kill();

    const second = await place.start();
    const client = new Client(second);
    const approval = await client.pendingApproval(thread.id);
    expect(approval).toEqual(asked);
    expect(ledgerLines(ledger)).toEqual([]);
    const decisions = await Promise.all([
      client.decide(approval.id, { verdict: "approve" }),
      client.decide(approval.id, { verdict: "approve" }),
    ]);
    expect(decisions.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(await client.replies(thread.id)).toEqual(["Done."]);
    await second.kill();

    const third = new Client(await place.start());
    expect((await third.decide(approval.id, { verdict: "approve" })).status).toBe(409);
    expect(await third.replies(thread.id)).toEqual(["Done."]);
    expect(ledgerLines(ledger)).toHaveLength(2);
  });

  it("in a delivery leaves one delivered reply", async () => {
    // Every record of an outcome waits for the test's lock: the message is sent, and nobody has written that down.
    await holder.query(`
      create function wait_for_test() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock_shared(1, 1); return new; end $$;
      create trigger hold before update on outbox for each row when (old.status = 'sending')
        execute function wait_for_test();
      select pg_advisory_lock(1, 1)`);
    script = () => reply("Hello.");
    const first = await place.start();
    const thread = await new Client(first).startThread("hello", "toolbox", "key-1");
    await programWaits();
    await first.kill();
    // A statement that the server has is carried out although its client is dead; this one is to be lost.
    await holder.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parley' and wait_event_type = 'Lock'",
    );
    await holder.query("select pg_advisory_unlock(1, 1); drop trigger hold on outbox");
    // A claim lives for a minute; this one's owner is dead, and the test does not want to wait.
    await holder.query("update outbox set claim_until = now() where status = 'sending'");

    const client = new Client(await place.start());
    const deliveries = await until("the delivery is settled", async () => {
      const { body } = await client.call<{ items: { status: string; attempts: number; threadId: string }[] }>(
        "GET",
        "/v1/deliveries",
      );
      return body.items.length > 0 && body.items.every(({ status }) => status === "sent") && body.items;
    });
    expect(deliveries).toMatchObject([{ status: "sent", attempts: 2, threadId: thread.id }]);
    expect(await client.replies(thread.id)).toEqual(["Hello."]);
  });
});
