/** The split: a gateway and two workers on Redis and Postgres, started by hand as docker-compose.yml starts them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { redisServer, startTempRedis, type TempRedis } from "../support/redis.ts";
import { describeWith } from "../support/suite.ts";
import { type ModelServer, modelServer } from "./model-server.ts";
import { Client, type Home, home, ledgerLines, type RunningParley, until } from "./parley.ts";
import { layToolbox } from "./toolbox.ts";

describeWith(redisServer, "a gateway and two workers", () => {
  let database: TestDatabase;
  let redis: TempRedis;
  let model: ModelServer;
  let place: Home;
  let ledger: string;
  let gateway: RunningParley;
  let workers: RunningParley[];

  beforeAll(async () => {
    database = await testDatabase();
    redis = await startTempRedis({ appendOnly: true });
    model = await modelServer((context) => {
      if (context.includes("<tool_result")) return { intent: "reply", text: "Done." };
      return context.includes("slowly")
        ? { intent: "keyed", args: { what: "slowly", ms: 4_000 } }
        : { intent: "reply", text: "Hello." };
    });
    place = await home({
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      OPENAI_BASE_URL: model.url,
      PARLEY_MODEL: "scripted",
    });
    ledger = layToolbox(place.folder);
    gateway = await place.start({ role: "gateway" });
    workers = [await place.start({ role: "worker" }), await place.start({ role: "worker" })];
  }, 60_000);

  afterAll(async () => {
    await place.close();
    await model.close();
    await redis.close();
    await database.close();
  });

  it("answer what the gateway accepts", async () => {
    const client = new Client(gateway);
    const threads = await Promise.all(
      Array.from({ length: 20 }, (_, at) => client.startThread("hello", "toolbox", `hello-${at}`)),
    );
    for (const thread of threads) expect(await client.replies(thread.id)).toEqual(["Hello."]);
  });

  it("go on within 15 s when the worker that had the thread is killed in mid-run", async () => {
    const client = new Client(gateway);
    const thread = await client.startThread("slowly", "toolbox", "slow");
    await until("the tool runs", () => ledgerLines(ledger).length === 1);
    const rows = await database.database.run({
      text: "select lease_owner from threads where id = $1",
      values: [thread.id],
    });
    // Each worker logs at its start under which name it takes leases.
    const victim = workers.find((worker) => worker.output().includes(String(rows[0]?.lease_owner)));
    if (victim === undefined) throw new Error("no worker has the thread");
    const killedAt = performance.now();
    await victim.kill();
    await until("the other worker has the run", () => ledgerLines(ledger).length >= 2, 15_000);
    expect(performance.now() - killedAt).toBeLessThan(15_000);
    expect(await client.replies(thread.id)).toEqual(["Done."]);
    expect(ledgerLines(ledger).filter((line) => line.startsWith("end"))).toHaveLength(1);
  });

  it("go on when Redis was flushed and restarted", async () => {
    const client = new Client(gateway);
    await redis.kill();
    const whileDown = await client.startThread("hello", "toolbox", "while-redis-is-down");
    await redis.start();
    await redis.flush();
    expect(await client.replies(whileDown.id)).toEqual(["Hello."]);
  });
});
