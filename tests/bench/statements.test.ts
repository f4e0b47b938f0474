import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { budgets, costsOf } from "../../bench/statements.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { redisServer, startTempRedis, type TempRedis } from "../support/redis.ts";
import { describeWith } from "../support/suite.ts";

const messages = 20;
const silent = (): void => undefined;
let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

describe("a message, from the accept to the recorded receipt", () => {
  it("costs no more SQL than its budget with the queue on Postgres", async () => {
    const costs = await costsOf({ url: database.url, redisUrl: null }, messages, silent);
    expect(costs.ours, JSON.stringify(costs.breakdown)).toBeLessThanOrEqual(budgets.postgres.ours);
    expect(costs.all, JSON.stringify(costs.breakdown)).toBeLessThanOrEqual(budgets.postgres.all);
    // A count that missed everything would meet any budget.
    expect(costs.ours).toBeGreaterThanOrEqual(4);
    expect(costs.all).toBeGreaterThan(costs.ours);
  });
});

describeWith(redisServer, "the same with the queue on Redis", () => {
  let redis: TempRedis;
  beforeAll(async () => {
    redis = await startTempRedis();
  });
  afterAll(() => redis.close());

  it("costs no more SQL and no more round trips to Redis than its budget", async () => {
    const costs = await costsOf({ url: database.url, redisUrl: redis.url }, messages, silent);
    expect(costs.all, JSON.stringify(costs.breakdown)).toBeLessThanOrEqual(budgets.redis.all);
    expect(costs.redis, JSON.stringify(costs.breakdown)).toBeLessThanOrEqual(budgets.redis.redis);
    expect(costs.redis).toBeGreaterThanOrEqual(3);
  });
});
