/**
 * The record of deployments and rollbacks, in a schema of deploybot's own.
 *
 *   running ──▶ succeeded | failed
 *      └──stopped with the worker, or killed with it──▶ stopped | running (stale) ──same key──▶ running
 *
 * A row is written before the command runs and closed after it. After a crash in between the row still says `running`: the same
 * idempotency key may go on with it at once, another deployment only once the time limit has passed.
 */
import { z } from "zod";
import type { AgentEnvironment } from "../agent.ts";
import { commitPattern } from "./git.ts";

export interface Target {
  service: string;
  environment: string;
  tag: string;
  commit: string;
}

const rowSchema = z.object({
  action: z.enum(["deploy", "roll_back"]),
  tag: z.string(),
  commit: z.string().regex(commitPattern),
  status: z.enum(["running", "succeeded", "failed", "stopped"]),
  requester: z.string(),
  output: z.string(),
  error: z.string(),
  durationMs: z.number(),
  startedAt: z.string(),
});
export type Deployment = z.infer<typeof rowSchema>;

type Query = AgentEnvironment["query"];

export interface Attempt extends Target {
  key: string;
  action: Deployment["action"];
  requester: string;
  threadId: string;
  /** A row that says `running` for longer than this has lost its worker. */
  staleAfterMs: number;
}

export interface Deployments {
  /**
   * Takes the place in front of this service and environment. `done` when this key has ended before: the first result
   * counts. Safe to repeat with the same key.
   * @throws {Error} with a plain sentence when another deployment holds the place.
   */
  begin(attempt: Attempt): Promise<{ done: Deployment | null }>;
  end(key: string, end: Pick<Deployment, "status" | "output" | "error" | "durationMs">): Promise<void>;
  /** The newest first. */
  history(service: string, environment: string, limit: number): Promise<Deployment[]>;
  /** What succeeded last, for each service and environment. */
  running(): Promise<(Target & { since: string })[]>;
  /** Adds what is not there yet; for the demo's past. */
  seed(past: readonly (Target & { key: string; daysAgo: number })[]): Promise<void>;
}

/** One statement under a lock: workers that start together do not trip over each other's `if not exists`. */
const createSql = `do $$ begin
  perform pg_advisory_xact_lock(hashtext('parley agent_deploybot'));
  create schema if not exists agent_deploybot;
  create table if not exists agent_deploybot.deployments (
    idempotency_key text primary key,
    action text not null,
    service text not null,
    environment text not null,
    tag text not null,
    commit_id text not null,
    status text not null,
    requester text not null,
    thread_id text not null,
    output text not null default '',
    error text not null default '',
    duration_ms integer not null default 0,
    started_at timestamptz not null default now()
  );
  create index if not exists deployments_place
    on agent_deploybot.deployments (service, environment, started_at desc);
  create unique index if not exists deployments_one_at_a_time
    on agent_deploybot.deployments (service, environment) where status = 'running';
end $$`;

const columns = `action, tag, commit_id as commit, status, requester, output, error, duration_ms as "durationMs",
  to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "startedAt"`;

export async function openDeployments(query: Query): Promise<Deployments> {
  await query(createSql);
  return {
    begin: (attempt) => begin(query, attempt),
    async end(key, { status, output, error, durationMs }) {
      await query(
        `update agent_deploybot.deployments set status = $2, output = $3, error = $4, duration_ms = $5
         where idempotency_key = $1 and status = 'running'`,
        [key, status, output, error, durationMs],
      );
    },
    async history(service, environment, limit) {
      const rows = await query(
        `select ${columns} from agent_deploybot.deployments where service = $1 and environment = $2
         order by started_at desc, idempotency_key desc limit $3`,
        [service, environment, limit],
      );
      return z.array(rowSchema).parse(rows);
    },
    async running() {
      const rows = await query(
        `select distinct on (service, environment) service, environment, tag, commit_id as commit,
           to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
         from agent_deploybot.deployments where status = 'succeeded'
         order by service, environment, started_at desc, idempotency_key desc`,
      );
      const fields = {
        service: z.string(),
        environment: z.string(),
        tag: z.string(),
        commit: z.string(),
        since: z.string(),
      };
      return z.array(z.object(fields)).parse(rows);
    },
    async seed(past) {
      await query(
        `insert into agent_deploybot.deployments
           (idempotency_key, action, service, environment, tag, commit_id, status, requester, thread_id, started_at)
         select p.key, 'deploy', p.service, p.environment, p.tag, p.commit, 'succeeded', 'demo', '',
           now() - make_interval(days => p."daysAgo")
         from jsonb_to_recordset($1::jsonb) as p
           (key text, service text, environment text, tag text, commit text, "daysAgo" integer)
         order by p.key
         on conflict do nothing`,
        [JSON.stringify(past)],
      );
    },
  };
}

async function begin(query: Query, attempt: Attempt): Promise<{ done: Deployment | null }> {
  const { key, action, service, environment, tag, commit, requester, threadId, staleAfterMs } = attempt;
  await query(
    `update agent_deploybot.deployments set status = 'stopped', error = 'The worker that ran it was lost.'
     where service = $1 and environment = $2 and status = 'running' and idempotency_key <> $3
       and started_at < now() - make_interval(secs => $4)`,
    [service, environment, key, staleAfterMs / 1000],
  );
  const inserted = await query(
    `insert into agent_deploybot.deployments
       (idempotency_key, action, service, environment, tag, commit_id, status, requester, thread_id)
     values ($1, $2, $3, $4, $5, $6, 'running', $7, $8) on conflict do nothing returning 1 as one`,
    [key, action, service, environment, tag, commit, requester, threadId],
  );
  if (inserted.length > 0) return { done: null };
  const [mine] = z
    .array(rowSchema)
    .parse(
      await query(`select ${columns} from agent_deploybot.deployments where idempotency_key = $1`, [key]),
    );
  if (mine === undefined) {
    throw new Error(`Another deployment of ${service} to ${environment} is running right now.`);
  }
  if (mine.status === "succeeded" || mine.status === "failed") return { done: mine };
  const resumed = await query(
    `update agent_deploybot.deployments d set status = 'running', started_at = now(), error = ''
     where idempotency_key = $1 and status in ('running', 'stopped') and not exists (
       select 1 from agent_deploybot.deployments o where o.service = d.service and o.environment = d.environment
         and o.status = 'running' and o.idempotency_key <> d.idempotency_key)
     returning 1 as one`,
    [key],
  );
  if (resumed.length === 0)
    throw new Error(`Another deployment of ${service} to ${environment} is running right now.`);
  return { done: null };
}

/** What runs now, and what to go back to: the version that ran before the current one was first deployed. Pure. */
export function standing(history: readonly Deployment[]): {
  current: Deployment | null;
  previous: Deployment | null;
} {
  const good = history.filter(({ status }) => status === "succeeded");
  const current = good[0];
  if (current === undefined) return { current: null, previous: null };
  const arrived = good.findIndex(({ action, commit }) => action === "deploy" && commit === current.commit);
  const before = good.slice(Math.max(arrived, 0)).find(({ commit }) => commit !== current.commit);
  return { current, previous: before ?? null };
}
