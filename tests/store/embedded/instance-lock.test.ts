import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { FolderHeldError } from "../../../store/embedded/errors.ts";
import { holdFolder } from "../../../store/embedded/instance-lock.ts";
import { clearStage, kill, makeTempFolder, startOwner } from "./stage.ts";

afterEach(clearStage);

describe("holdFolder", () => {
  it("makes the folder with mode 0700", async () => {
    const folder = join(makeTempFolder(), "deep", "data");
    await (await holdFolder(folder)).release();

    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it("tightens a folder of ours that others can read, and says so", async () => {
    const folder = makeTempFolder();
    chmodSync(folder, 0o755);
    const events: unknown[] = [];
    await (await holdFolder(folder, (_level, event, fields) => events.push({ event, ...fields }))).release();

    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(events).toEqual([{ event: "folder_tightened", folder, modeBefore: "755", mode: "700" }]);
  });

  it("refuses a folder that a live instance holds, naming its pid and the ways out", async () => {
    const folder = makeTempFolder();
    const owner = await startOwner("lock", folder);
    const refusal = await holdFolder(folder).catch((error) => error);

    expect(refusal).toBeInstanceOf(FolderHeldError);
    expect(refusal.message).toContain(`pid ${owner.child.pid}`);
    expect(refusal.message).toContain("PARLEY_DATA_DIR");
  });

  it("refuses a second hold in the same process, until the first is released", async () => {
    const folder = makeTempFolder();
    const first = await holdFolder(folder);
    await expect(holdFolder(folder)).rejects.toBeInstanceOf(FolderHeldError);
    await Promise.all([first.release(), first.release()]);

    await (await holdFolder(folder)).release();
  });

  it("takes over from a killed instance", async () => {
    const folder = makeTempFolder();
    await kill(await startOwner("lock", folder));
    const events: string[] = [];
    const hold = await holdFolder(folder, (_level, event) => events.push(event));

    expect(events).toEqual(["folder_taken_over"]);
    expect(readdirSync(folder)).toHaveLength(1);
    await hold.release();
  });

  it.each([
    [
      "whose pid belongs to another program now",
      { version: 1, pid: process.pid, birth: "earlier", released: false },
    ],
    ["that a power cut left empty", undefined],
  ])("takes over from a lock %s", async (_name, lock) => {
    const folder = makeTempFolder();
    writeFileSync(join(folder, "lock.41"), lock ? JSON.stringify(lock) : "");
    const hold = await holdFolder(folder);

    expect(readdirSync(folder)).toEqual(["lock.42"]);
    await hold.release();
  });

  it("gives a stale folder to exactly one of many contenders, again and again", async () => {
    const folder = makeTempFolder();
    for (let round = 0; round < 20; round++) {
      const dead = { version: 1, pid: process.pid, birth: "earlier", released: false };
      const numbers = readdirSync(folder).map((name) => Number(name.split(".")[1]));
      writeFileSync(join(folder, `lock.${Math.max(0, ...numbers) + 1}`), JSON.stringify(dead));
      const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => holdFolder(folder)));
      const holds = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));

      expect(holds).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(FolderHeldError);
      }
      await holds[0]?.release();
    }
  });

  it("does not mistake other files for locks", async () => {
    const folder = makeTempFolder();
    mkdirSync(join(folder, "postgres"));
    writeFileSync(join(folder, "lock.old"), "mine");
    await (await holdFolder(folder)).release();

    expect(readdirSync(folder).sort()).toEqual(["lock.1", "lock.old", "postgres"]);
  });
});
