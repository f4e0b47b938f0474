import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { EmbeddedPostgresError, FolderHeldError } from "../../../store/embedded/errors.ts";
import { startEmbeddedPostgres } from "../../../store/embedded/server.ts";
import { clearStage, makeTempFolder, query, untilNothingRunsIn } from "./stage.ts";

afterEach(clearStage);

describe("the embedded Postgres", () => {
  it("makes its cluster and database on the first start, private to its owner", async () => {
    const folder = join(makeTempFolder(), "postgres");
    const server = await startEmbeddedPostgres({ folder });
    const rows = await query(
      server.url,
      "select current_database() as name, current_setting('fsync') as fsync",
    );

    expect(rows).toEqual([{ name: "parley", fsync: "on" }]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "cluster")).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "password")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, "postgres.log"), "utf8")).not.toContain("current_database");
    await server.stop();
  });

  it("finds its rows again on the second start, and stops as often as it is told to", async () => {
    const folder = makeTempFolder();
    const first = await startEmbeddedPostgres({ folder });
    await query(first.url, "create table kept as select 7 as number");
    await Promise.all([first.stop(), first.stop()]);
    await untilNothingRunsIn(folder, 500);

    const second = await startEmbeddedPostgres({ folder });
    expect(await query(second.url, "select number from kept")).toEqual([{ number: 7 }]);
    await second.stop();
    expect(await second.exited).toMatchObject({ expected: true, code: 0 });
  });

  it("listens on 127.0.0.1 only, and to the password only", async () => {
    const server = await startEmbeddedPostgres({ folder: makeTempFolder() });
    const [settings] = await query(
      server.url,
      "select current_setting('listen_addresses') as tcp, current_setting('unix_socket_directories') as unix",
    );
    const wrong = server.url.replace(/:[0-9a-f]{64}@/, ":wrong@");

    expect(settings).toEqual({ tcp: "127.0.0.1", unix: "" });
    await expect(query(wrong, "select 1")).rejects.toThrow(/password/);
    await server.stop();
  });

  it("reports a server that ends by itself, with its last words", async () => {
    const server = await startEmbeddedPostgres({ folder: makeTempFolder() });
    process.kill(server.pid, "SIGINT");
    const ending = await server.exited;

    expect(ending).toMatchObject({ expected: false, code: 0 });
    expect(ending.lastLines).toContain("fast shutdown");
    await server.stop();
  });

  it("lets one of two racing starts have the folder and tells the other who has it", async () => {
    const folder = makeTempFolder();
    const [one, two] = await Promise.allSettled([
      startEmbeddedPostgres({ folder }),
      startEmbeddedPostgres({ folder }),
    ]);
    const [winner, loser] = one.status === "fulfilled" ? [one, two] : [two, one];

    expect(loser.status === "rejected" && loser.reason).toBeInstanceOf(FolderHeldError);
    if (winner.status !== "fulfilled") throw winner.reason;
    expect(await query(winner.value.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await winner.value.stop();
  });

  it("throws away what an interrupted initdb left", async () => {
    const folder = makeTempFolder();
    mkdirSync(join(folder, "cluster.0123456789ab.draft", "base"), { recursive: true });
    writeFileSync(join(folder, "cluster.0123456789ab.draft", "PG_VERSION"), "1");
    const server = await startEmbeddedPostgres({ folder });

    expect(readdirSync(folder).filter((name) => name.endsWith(".draft"))).toEqual([]);
    await server.stop();
  });

  it.each([
    ["the cluster of another Postgres version", "PG_VERSION", "15\n", /made by Postgres 15.*DATABASE_URL/s],
    ["a cluster folder with something else in it", "notes.txt", "mine", /is not a Postgres cluster/],
  ])("does not touch %s", async (_name, file, content, message) => {
    const folder = makeTempFolder();
    mkdirSync(join(folder, "cluster"));
    writeFileSync(join(folder, "cluster", file), content);

    await expect(startEmbeddedPostgres({ folder })).rejects.toThrow(message);
    expect(readdirSync(join(folder, "cluster"))).toEqual([file]);
  });

  it("shows the server's last lines when it does not start, and lets go of the folder", async () => {
    const folder = makeTempFolder();
    await (await startEmbeddedPostgres({ folder })).stop();
    const settings = join(folder, "cluster", "postgresql.conf");
    const before = readFileSync(settings, "utf8");
    writeFileSync(settings, "nonsense = 1\n");

    const failure = await startEmbeddedPostgres({ folder }).catch((error) => error);
    expect(failure).toBeInstanceOf(EmbeddedPostgresError);
    expect(failure.message).toContain('unrecognized configuration parameter "nonsense"');

    writeFileSync(settings, before);
    await (await startEmbeddedPostgres({ folder })).stop();
  });
});
