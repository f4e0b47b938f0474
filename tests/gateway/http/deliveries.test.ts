import { afterAll, beforeAll, expect, it } from "vitest";
import { ids } from "../../../gateway/ids.ts";
import { commitOn, newThread, outboxEntry } from "./seeding.ts";
import { type Serving, serving } from "./serving.ts";

let s: Serving;
beforeAll(async () => {
  s = await serving();
});
afterAll(() => s.close());

async function delivery(outcome: "failed" | "uncertain" | "sent" | "pending") {
  const threadId = await newThread(s.log);
  const entry = outboxEntry(threadId);
  await commitOn(s.log, threadId, { events: [], outbox: [entry] });
  if (outcome === "pending") return { id: entry.outboxId, threadId };
  const claimed = await s.outbox.claim(threadId, ids.next(), 5_000);
  if (claimed === null) throw new Error("nothing to claim");
  await s.outbox.record(
    claimed,
    outcome === "sent" ? { status: "sent", receipt: "r1" } : { status: outcome, error: "refused" },
  );
  return { id: entry.outboxId, threadId };
}

it("lists what became of each message", async () => {
  const failed = await delivery("failed");
  const sent = await delivery("sent");
  const { body } = await s.call("GET", "/v1/deliveries?status=failed");
  const one = await s.call("GET", `/v1/deliveries/${sent.id}`);

  expect(body.items.map(({ id }: { id: string }) => id)).toEqual([failed.id]);
  expect(body.items[0]).toMatchObject({
    status: "failed",
    error: "refused",
    attempts: 1,
    content: { text: "hi" },
  });
  expect(one.body).toMatchObject({
    status: "sent",
    receipt: "r1",
    threadId: sent.threadId,
    nextAttemptAt: null,
  });
});

it("puts a dead letter back in line and rings", async () => {
  const { id, threadId } = await delivery("uncertain");
  const { status, body } = await s.call("POST", `/v1/deliveries/${id}/retry`);

  expect([status, body.status, body.attempts]).toEqual([200, "pending", 0]);
  expect(s.rung).toContain(`delivery:${threadId}`);
});

it("settles with a person's word", async () => {
  const { id } = await delivery("uncertain");
  const path = `/v1/deliveries/${id}/settle`;
  const { status, body } = await s.call("POST", path, { body: { outcome: "sent", note: "I saw it" } });

  expect([status, body.status, body.error]).toEqual([200, "sent", "admin: I saw it"]);
  expect((await s.call("POST", path, { body: { outcome: "failed", note: "no" } })).status).toBe(409);
});

it("leaves alone what is not dead, and what does not exist", async () => {
  const { id } = await delivery("pending");
  const absent = "01900000-0000-7000-8000-000000000000";

  expect((await s.call("POST", `/v1/deliveries/${id}/retry`)).status).toBe(409);
  expect((await s.call("POST", `/v1/deliveries/${absent}/retry`)).status).toBe(404);
  expect(
    (await s.call("POST", `/v1/deliveries/${id}/settle`, { body: { outcome: "maybe", note: "x" } })).status,
  ).toBe(400);
});
