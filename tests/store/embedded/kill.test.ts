/** kill -9 at the worst moments: nothing may be left running, and no committed row may be lost. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { startEmbeddedPostgres } from "../../../store/embedded/server.ts";
import {
  beginOwner,
  clearStage,
  kill,
  makeTempFolder,
  query,
  runningIn,
  startOwner,
  untilNothingRunsIn,
} from "./stage.ts";

afterEach(clearStage);

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
};

const guardsIn = (folder: string): number[] =>
  runningIn(folder).filter((pid) => commandOf(pid).startsWith("sh\0"));

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

describe("the embedded Postgres and kill -9", () => {
  it("stops by itself when its owner is killed", async () => {
    const folder = makeTempFolder();
    const owner = await startOwner("postgres", folder);
    expect(runningIn(folder).length).toBeGreaterThan(2);
    await kill(owner);

    await untilNothingRunsIn(folder, 3_000);
  });

  it("starts again at once with every committed row", async () => {
    const folder = makeTempFolder();
    const owner = await startOwner("postgres", folder);
    await query(owner.said.url, "create table kept as select generate_series(1, 1000) as number");
    await kill(owner);
    const server = await startEmbeddedPostgres({ folder });

    expect(await query(server.url, "select count(*)::int as rows from kept")).toEqual([{ rows: 1000 }]);
    await server.stop();
    await untilNothingRunsIn(folder, 500);
  });

  it("survives the killing of its owner's whole group, and then goes too", async () => {
    const folder = makeTempFolder();
    const owner = await startOwner("postgres", folder, { detached: true });
    await query(owner.said.url, "create table kept as select 1 as number");
    process.kill(-(owner.child.pid ?? 0), "SIGKILL");
    const server = await startEmbeddedPostgres({ folder });

    expect(await query(server.url, "select number from kept")).toEqual([{ number: 1 }]);
    await server.stop();
    await untilNothingRunsIn(folder, 3_000);
  });

  it("recovers when everything was killed, the server and its guard included", async () => {
    const folder = makeTempFolder();
    const owner = await startOwner("postgres", folder);
    await query(owner.said.url, "create table kept as select 1 as number");
    for (const pid of [owner.child.pid ?? 0, ...runningIn(folder)]) killIfThere(pid);
    const server = await startEmbeddedPostgres({ folder });

    expect(await query(server.url, "select number from kept")).toEqual([{ number: 1 }]);
    await server.stop();
  });

  it.skipIf(process.platform !== "linux")(
    "stops a server that lost both its owner and its guard",
    async () => {
      const folder = makeTempFolder();
      const owner = await startOwner("postgres", folder);
      // The owner holds still meanwhile: nobody sees the guards die, however often one of them has just forked.
      const ownerPid = owner.child.pid ?? 0;
      process.kill(ownerPid, "SIGSTOP");
      expect(guardsIn(folder).length).toBeGreaterThanOrEqual(2);
      for (let round = 0; round < 50 && guardsIn(folder).length > 0; round += 1) {
        for (const pid of guardsIn(folder)) killIfThere(pid);
        await sleep(20);
      }
      expect(guardsIn(folder)).toEqual([]);
      process.kill(ownerPid, "SIGKILL");
      await sleep(500);
      expect(runningIn(folder)).toContain(owner.said.pid);

      const server = await startEmbeddedPostgres({ folder });
      expect(server.pid).not.toBe(owner.said.pid);
      await server.stop();
      await untilNothingRunsIn(folder, 3_000);
    },
  );

  it("is not fooled by a postmaster.pid whose pid belongs to another program now", async () => {
    const folder = makeTempFolder();
    const owner = await startOwner("postgres", folder);
    const pidFile = join(folder, "cluster", "postmaster.pid");
    const lines = readFileSync(pidFile, "utf8").split("\n");
    for (const pid of [owner.child.pid ?? 0, ...runningIn(folder)]) killIfThere(pid);
    await untilNothingRunsIn(folder, 3_000);
    const bystander = await startOwner("lock", makeTempFolder());
    writeFileSync(pidFile, [bystander.child.pid, ...lines.slice(1)].join("\n"));

    const server = await startEmbeddedPostgres({ folder });
    expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await server.stop();
    expect(bystander.child.exitCode).toBeNull();
  });

  it("completes a first start that was killed at any moment", { timeout: 120_000 }, async () => {
    const folder = join(makeTempFolder(), "postgres");
    for (const afterMs of [250, 400, 550, 700, 850, 1_000, 1_150, 1_300]) {
      const child = beginOwner("postgres", folder);
      await sleep(afterMs);
      child.kill("SIGKILL");
    }
    const server = await startEmbeddedPostgres({ folder });

    expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await server.stop();
    await untilNothingRunsIn(folder, 500);
  });
});
