/** One lane plays one story after another on servers and processes of its own, and judges each run at its end. */
import { setTimeout as sleep } from "node:timers/promises";
import { startTempRedis, type TempRedis } from "../support/redis.ts";
import type { Bug } from "./bugs/bug.ts";
import { check, hasOutcome } from "./checker.ts";
import { type Client, openClient } from "./client.ts";
import { type Crew, openCrew } from "./crew.ts";
import type { Look } from "./orders.ts";
import { type Outside, openOutside } from "./outside.ts";
import type { OwnFault } from "./probe.ts";
import { type CrashPostgres, startCrashPostgres } from "./servers.ts";
import type { Fault, FaultKind, History, Story, Violation } from "./words.ts";

export type QueueKind = "redis" | "postgres";

export interface RunResult {
  story: Story;
  queue: QueueKind;
  violations: Violation[];
  history: History;
  /** Faults that came about; for kills and freezes with the call that was interrupted. */
  hits: { kind: FaultKind; call: string | null }[];
  durationMs: number;
  operations: { messages: number; replies: number; tools: number; decisions: number };
}

export interface Lane {
  readonly queue: QueueKind;
  play(story: Story): Promise<RunResult>;
  /** From now on with this bug, or with none, on a fresh database and with fresh processes. */
  plant(bug: Bug | null): Promise<void>;
  close(): Promise<void>;
}

const quietWithinMs = 45_000;
/** A planted bug that keeps a run from coming to rest need not be waited for as long. */
const bugQuietWithinMs = 9_000;
const lookEveryMs = 60;

export async function openLane(queue: QueueKind): Promise<Lane> {
  const [postgres, redis, outside] = await Promise.all([
    startCrashPostgres(),
    queue === "redis" ? startTempRedis() : null,
    openOutside(),
  ]);
  const crew = openCrew();
  let planted: Bug | null = null;
  let databaseUrl: string | null = null;
  let generation = 0;

  async function settle(): Promise<void> {
    if (databaseUrl === null) {
      databaseUrl = await postgres.fresh(planted?.functions);
      generation += 1;
    }
    await crew.ready({
      databaseUrl,
      redisUrl: redis?.url ?? null,
      outsideUrl: outside.url,
      prefix: `crash${generation}`,
      bug: planted?.name ?? null,
    });
  }
  /** After a violation nothing that is left over may touch the next run. */
  function startAfresh(): void {
    crew.dismiss();
    databaseUrl = null;
  }

  return {
    queue,
    async play(story) {
      await settle();
      const startedAt = performance.now();
      const run = await playOnce({
        ...{ story, crew, outside, postgres, redis },
        quietWithinMs: planted === null ? quietWithinMs : bugQuietWithinMs,
      });
      const violations = check(run.history);
      if (violations.length > 0) startAfresh();
      return {
        ...run,
        story,
        queue,
        violations,
        durationMs: performance.now() - startedAt,
        operations: operationsOf(run.history),
      };
    },
    async plant(bug) {
      planted = bug;
      startAfresh();
    },
    async close() {
      crew.close();
      await outside.close();
      await Promise.all([postgres.close(), redis?.close()]);
    },
  };
}

const operationsOf = ({ sendings, posted, tools, decidings }: History): RunResult["operations"] => ({
  messages: sendings.filter(({ ackedMs }) => ackedMs !== null).length,
  replies: posted.filter(({ kind, visible }) => kind === "reply" && visible).length,
  tools: tools.filter(({ endMs }) => endMs !== null).length,
  decisions: decidings.filter(({ outcome }) => outcome === "decided").length,
});

interface Stage {
  story: Story;
  crew: Crew;
  outside: Outside;
  postgres: CrashPostgres;
  redis: TempRedis | null;
  quietWithinMs: number;
}

async function playOnce(stage: Stage): Promise<Pick<RunResult, "history" | "hits">> {
  const { story, crew, outside, postgres } = stage;
  outside.begin(story.faults);
  const client = openClient({
    story,
    ask: (order) => crew.gateway(order),
    happened: (id) => outside.ledger.tools.some((run) => run.id === id),
  });
  const anchors = story.threads.map(({ anchor }) => anchor);
  outside.onPosted = ({ anchor, kind, content }) => {
    if (anchors.includes(anchor)) client.see(anchor, kind, content);
  };
  const serverHits: Fault["kind"][] = [];
  await crew.arm(
    story.faults.filter((fault): fault is OwnFault => fault.kind === "kill" || fault.kind === "freeze"),
  );
  const troubles = harmServers(stage, serverHits);
  await client.play();
  await troubles;
  const { unquiet, look } = await untilQuiet(stage, client);
  client.stop();
  postgres.spare();
  outside.onPosted = () => {};
  const ours = ({ anchor }: { anchor: string }): boolean => anchors.includes(anchor);
  const history: History = {
    story,
    posted: outside.ledger.posted.filter(ours),
    tools: outside.ledger.tools.filter(({ id }) => anchors.some((anchor) => id.startsWith(anchor))),
    models: outside.ledger.models.filter(ours),
    sendings: client.sendings,
    decidings: client.decidings,
    troubles: look.deliveries.filter(({ status }) => status === "uncertain" || status === "failed"),
    hit: [...crew.struck],
    lateMs: { ...outside.ledger.lateMs },
    unquiet,
  };
  const hits = [
    ...crew.hits.map(({ kind, call, moment }) => ({ kind, call: `${moment} ${call}` })),
    ...[...outside.hits, ...serverHits].map((kind) => ({ kind, call: null })),
  ];
  return { history, hits };
}

async function harmServers({ story, postgres, redis }: Stage, hits: FaultKind[]): Promise<void> {
  await Promise.all(
    story.faults.map(async (fault) => {
      switch (fault.kind) {
        case "cut":
          return postgres.cutAt(fault, () => hits.push("cut"));
        case "postgres_stop":
          await sleep(fault.atMs);
          await postgres.crash();
          return void hits.push(fault.kind);
        case "redis_kill":
          if (redis === null) return;
          await sleep(fault.atMs);
          await redis.kill();
          await sleep(100);
          await redis.start();
          return void hits.push(fault.kind);
        case "redis_flush":
          if (redis === null) return;
          await sleep(fault.atMs);
          await redis.flush();
          return void hits.push(fault.kind);
        default:
          return;
      }
    }),
  );
}

/** Waits until nothing is under way: every acknowledged message has its outcome and nobody is about to do anything. */
async function untilQuiet(stage: Stage, client: Client): Promise<{ unquiet: string | null; look: Look }> {
  const anchors = stage.story.threads.map(({ anchor }) => anchor);
  const deadline = performance.now() + stage.quietWithinMs;
  let look: Look = { threads: [], deliveries: [] };
  let quietLooks = 0;
  for (;;) {
    const seen = await stage.crew.gateway({ do: "look", anchors }).catch(() => null);
    if (seen !== null) look = seen as Look;
    // What never reached its platform is found in the console.
    for (const { anchor, kind, status, content } of look.deliveries)
      if (status === "uncertain" || status === "failed") client.see(anchor, kind, content);
    const unquiet = seen === null ? "nobody answers" : whyNotQuiet(stage, client, look);
    quietLooks = unquiet === null ? quietLooks + 1 : 0;
    if (quietLooks >= 2) return { unquiet: null, look };
    if (performance.now() > deadline) return { unquiet, look };
    await sleep(lookEveryMs);
  }
}

function whyNotQuiet({ outside, crew }: Stage, client: Client, look: Look): string | null {
  if (client.busy > 0) return "people are still busy";
  if (crew.frozen.size > 0) return "somebody is frozen";
  const running = look.threads.find(({ status }) => status === "running");
  if (running !== undefined) return `${running.anchor} is running`;
  const waiting = look.threads.find(({ waitingFor }) => waitingFor.includes("timer"));
  if (waiting !== undefined) return `${waiting.anchor} waits for a timer`;
  const open = look.deliveries.find(({ status }) => status === "pending" || status === "sending");
  if (open !== undefined) return `a ${open.kind} in ${open.anchor} is ${open.status}`;
  const troubles = look.deliveries.filter(({ status }) => status === "uncertain" || status === "failed");
  const facts = { posted: outside.ledger.posted, troubles };
  const lost = client.sendings.find(
    ({ label, anchor, ackedMs }) =>
      ackedMs !== null && !label.startsWith("q-") && !hasOutcome(facts, label, anchor),
  );
  if (lost !== undefined) return `${lost.label} has no outcome`;
  const asked = look.threads.find(({ waitingFor }) => waitingFor.length > 0);
  return asked === undefined ? null : `${asked.anchor} waits for ${asked.waitingFor.join(" and ")}`;
}
