import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { findBinaries } from "../../../store/embedded/binaries.ts";
import { type Probe, probe } from "../../../store/embedded/identity.ts";
import { holdFolder } from "../../../store/embedded/instance-lock.ts";
import { startEmbeddedPostgres } from "../../../store/embedded/server.ts";
import { clearStage, kill, makeTempFolder, query, startOwner, untilNothingRunsIn } from "./stage.ts";

const isRoot = process.getuid?.() === 0;
const nobody = 65_534;
const { postgres } = await findBinaries();
const nobodyReadsRepo =
  isRoot && spawnSync(postgres, ["--version"], { uid: nobody, gid: nobody, cwd: "/" }).status === 0;

const withoutNamespaces: Probe = (identity, folder, binaries) =>
  identity.kind === "namespace"
    ? Promise.resolve({ ok: false, reason: "unshare failed: Operation not permitted" })
    : probe(identity, folder, binaries);

afterEach(clearStage);

describe.skipIf(!isRoot)("as root (skipped for ordinary users)", () => {
  it("runs in a user namespace, and the files stay root's", async () => {
    const folder = makeTempFolder();
    const events: object[] = [];
    const server = await startEmbeddedPostgres({
      folder,
      log: (_level, event, fields) => events.push({ event, ...fields }),
    });

    expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(events[0]).toEqual({ event: "postgres_disguised", as: "namespace", uid: 0 });
    expect(statSync(join(folder, "cluster")).uid).toBe(0);
    await server.stop();
  });

  it.skipIf(!nobodyReadsRepo)(
    "runs as another user where namespaces are forbidden, and moves back when they are allowed (skipped when that user cannot read the binaries)",
    async () => {
      const parent = makeTempFolder();
      const hold = await holdFolder(parent);
      const folder = join(parent, "postgres");
      const lent = await startEmbeddedPostgres({ folder, probe: withoutNamespaces });
      await query(lent.url, "create table kept as select 5 as number");
      expect(statSync(join(folder, "cluster")).uid).not.toBe(0);
      expect(statSync(`/proc/${lent.pid}`).uid).not.toBe(0);
      expect([parent, folder].map((each) => statSync(each).mode & 0o777)).toEqual([0o700, 0o700]);
      await lent.stop();

      const again = await startEmbeddedPostgres({ folder, probe: withoutNamespaces });
      await again.stop();
      const back = await startEmbeddedPostgres({ folder });
      expect(await query(back.url, "select number from kept")).toEqual([{ number: 5 }]);
      expect([parent, folder].map((each) => statSync(each).uid)).toEqual([0, 0]);
      await back.stop();
      await hold.release();
    },
  );

  it("explains what was tried and the three ways out when nothing works", async () => {
    const folder = makeTempFolder();
    const refuse: Probe = async (identity) => ({ ok: false, reason: `no ${identity.kind} today` });
    const failure = await startEmbeddedPostgres({ folder, probe: refuse }).catch((error) => error);

    expect(failure.name).toBe("EmbeddedPostgresError");
    for (const part of [
      "in a user namespace (unshare --user): no namespace today",
      "as user nobody (uid 65534): no other today",
      "run Parley as an ordinary user",
      "allow user namespaces",
      "set DATABASE_URL",
    ]) {
      expect(failure.message).toContain(part);
    }
    expect(statSync(folder).uid).toBe(0);
  });

  it("does not lend a folder that the other user cannot reach", async () => {
    const closed = makeTempFolder();
    chmodSync(closed, 0o700);
    const failure = await startEmbeddedPostgres({
      folder: join(closed, "postgres"),
      probe: withoutNamespaces,
    }).catch((error) => error);

    expect(failure.message).toMatch(/as user nobody \(uid 65534\): .*(can't cd|denied)/i);
    expect(statSync(closed).uid).toBe(0);
  });

  it.skipIf(!nobodyReadsRepo)(
    "starts, dies and recovers for an ordinary user (skipped when uid 65534 cannot read the repository)",
    async () => {
      const folder = makeTempFolder();
      chownSync(folder, nobody, nobody);
      const first = await startOwner("postgres", folder, { uid: nobody });
      expect(first.said.failed).toBeUndefined();
      await query(first.said.url, "create table kept as select 3 as number");
      expect(statSync(join(folder, "cluster")).uid).toBe(nobody);
      await kill(first);

      const second = await startOwner("postgres", folder, { uid: nobody });
      expect(await query(second.said.url, "select number from kept")).toEqual([{ number: 3 }]);
      await kill(second);
      await untilNothingRunsIn(folder, 3_000);
    },
  );

  it.skipIf(!nobodyReadsRepo)("tells an ordinary user that the folder is another's", async () => {
    const folder = makeTempFolder();
    const owner = await startOwner("postgres", folder, { uid: nobody });

    expect(owner.said.failed).toMatch(/EmbeddedPostgresError: .*cannot be used by this user.*chown/);
    await untilNothingRunsIn(folder, 500);
  });
});
