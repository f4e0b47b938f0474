import { afterAll, beforeAll, expect, it } from "vitest";
import { ParleyError } from "../../core/errors.ts";
import { openQueue } from "../../queue/queue.ts";
import { describeWith } from "../support/suite.ts";
import { postgresServer, queryOnce, type RestartablePostgres, startRestartablePostgres } from "./postgres.ts";
import { queueSuite } from "./queue-suite.ts";
import { recordedLog, until } from "./recorded.ts";

queueSuite("the queue on Postgres", postgresServer, async () => {
  const postgres = await startRestartablePostgres();
  return { ...postgres, server: { kind: "postgres", url: postgres.url } };
});

describeWith(postgresServer, "the queue on Postgres alone", () => {
  let postgres: RestartablePostgres;
  const { log } = recordedLog();

  beforeAll(async () => {
    postgres = await startRestartablePostgres();
  });
  afterAll(() => postgres?.close());

  it("is made by whichever of several processes comes first, in a schema of its own", async () => {
    const server = { kind: "postgres", url: postgres.url, schema: "bells" } as const;
    const queues = await Promise.all([1, 2, 3, 4].map(() => openQueue(server, { log })));
    const heard: string[] = [];
    const note = async (id: string) => void heard.push(id);
    queues[0]?.consume({ thread: note, delivery: note, timer: note }, 2);
    await queues[3]?.doorbell.ringThread("t");
    await until(() => heard.includes("t"), "heard by another", 10_000);
    await Promise.all(queues.map((queue) => queue.close()));

    const made = await queryOnce(
      postgres.url,
      "select nspname from pg_namespace where nspname in ('bells', 'bullmq')",
    );
    expect(made).toEqual([{ nspname: "bells" }]);
  });

  it("takes at most five connections with its consumer, and gives them all back", async () => {
    const queue = await openQueue({ kind: "postgres", url: postgres.url }, { log, prefix: "counted" });
    const heard = new Set<string>();
    const note = async (id: string) => void heard.add(id);
    queue.consume({ thread: note, delivery: note, timer: note }, 8);
    await Promise.all(Array.from({ length: 50 }, (_, i) => queue.doorbell.ringThread(`t${i}`)));
    await until(() => heard.size === 50, "all", 20_000);
    const count = "select count(*)::int as n from pg_stat_activity where application_name = 'counted queue'";

    const [busy] = await queryOnce(postgres.url, count);
    expect(busy?.n).toBeGreaterThanOrEqual(2);
    expect(busy?.n).toBeLessThanOrEqual(5);
    await queue.close();
    expect(await queryOnce(postgres.url, count)).toEqual([{ n: 0 }]);
  });

  it("keeps nothing of what was heard", async () => {
    const queue = await openQueue({ kind: "postgres", url: postgres.url }, { log, prefix: "kept" });
    let runs = 0;
    const fail = async () => {
      runs += 1;
      throw new Error("no");
    };
    queue.consume({ thread: fail, delivery: fail, timer: fail }, 2);
    await queue.doorbell.ringThread("a");
    await queue.doorbell.ringTimer("b", 0);
    await until(() => runs === 2, "both", 10_000);
    await queue.close();

    expect(await queryOnce(postgres.url, "select id from bullmq.job where queue like 'kept.%'")).toEqual([]);
  });

  it("says so when the database is not there", async () => {
    const nowhere = { kind: "postgres", url: "postgres://parley@127.0.0.1:1/postgres" } as const;
    await expect(openQueue(nowhere, { log })).rejects.toBeInstanceOf(ParleyError);
  });
});
