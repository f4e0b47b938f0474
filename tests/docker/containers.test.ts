/** What the container files build and start, without Docker: the same commands in the same folders, on real servers. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { freePort, redisServer, startTempRedis, type TempRedis } from "../support/redis.ts";
import { describeWith } from "../support/suite.ts";
import { compose, dockerStages, execForm, healthCommand } from "./files.ts";
import { type Container, type Layout, layOut, run, start, until } from "./image.ts";

const { services } = compose();
const stages = dockerStages();
const image = stages.at(-1) ?? [];

it("the stage for the console has all that its build needs", { timeout: 60_000 }, () => {
  const stage = stages.find((each) => each.some(({ text }) => text.endsWith("AS console"))) ?? [];
  const layout = layOut(stage);
  try {
    const command = (stage.findLast(({ name }) => name === "RUN")?.text ?? "").split(" ");
    const { code, said } = run(command, {
      layout,
      cwd: layout.folder,
      env: { PATH: process.env.PATH ?? "" },
    });
    expect(said).toMatch(/^Built the web console/);
    expect(code).toBe(0);
    expect(existsSync(join(layout.folder, "console/dist/index.html"))).toBe(true);
  } finally {
    layout.close();
  }
});

describeWith(redisServer, "the image's folder", () => {
  let layout: Layout;
  let home: string;
  let database: TestDatabase;
  let redis: TempRedis;
  let port: number;

  beforeAll(async () => {
    layout = layOut(image);
    home = mkdtempSync(join(tmpdir(), "parley-container-"));
    mkdirSync(join(home, "config"));
    [database, redis, port] = await Promise.all([testDatabase(), startTempRedis(), freePort()]);
  });
  afterAll(async () => {
    await Promise.all([database.close(), redis.close()]);
    rmSync(home, { recursive: true, force: true });
    layout.close();
  });

  /** The variables that the compose file sets for the service, with what this machine has in their place. */
  function container(name: string, changed: Record<string, string> = {}): Container {
    const stand: Record<string, string> = {
      PARLEY_HOST: "127.0.0.1",
      PARLEY_PORT: String(port),
      PARLEY_DATA_DIR: join(home, "data"),
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      ...changed,
    };
    const names = Object.keys(services[name]!.environment);
    const own = Object.fromEntries(names.map((each) => [each, stand[each] ?? ""]));
    const env = { PATH: process.env.PATH ?? "", HOME: home, NODE_ENV: "production", ...own };
    return { layout, cwd: join(home, "config"), env };
  }
  const command = (name: string): string[] => [...execForm(image, "ENTRYPOINT"), ...services[name]!.command];
  const health = (name: string, changed?: Record<string, string>): number | null =>
    run(healthCommand(services[name]!), container(name, changed)).code;

  it("starts as a gateway, which is healthy when it is ready and not before", {
    timeout: 60_000,
  }, async () => {
    expect(health("gateway")).toBe(1);
    const gateway = start(command("gateway"), container("gateway"));
    try {
      await until(() => health("gateway") === 0, gateway);
      expect(run(execForm(image, "HEALTHCHECK"), container("gateway")).code).toBe(0);
    } finally {
      await gateway.stop();
    }
  });

  it("starts as a worker, which is unhealthy when it does not reach Redis", { timeout: 60_000 }, async () => {
    const worker = start(command("worker"), container("worker"));
    try {
      await until(() => worker.said().includes("worker runs"), worker);
      expect(health("worker")).toBe(0);
      expect(health("worker", { REDIS_URL: `redis://127.0.0.1:${await freePort()}` })).toBe(1);
    } finally {
      await worker.stop();
    }
  });
});
