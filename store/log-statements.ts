/**
 * The SQL of the thread log. Each constant is one statement: it is done wholly or not at all, and it is why a kill
 * between any two lines of the program loses nothing. Prepared by name once for each connection.
 */

/** The cached status once a message came: a worker that holds a cancelled thread has to learn of the cancellation first. */
const statusAwake = `case when status = 'paused' or (status = 'cancelled' and lease_owner is not null)
              then status else 'running' end`;

/** $1 channel, $2 account, $3 dedupe key, $4 thread, $5 type, $6 version, $7 data, $8 actor, $9 status after. */
export const acceptByThread = {
  name: "accept_by_thread",
  text: `
with known as (
  select thread_id, seq from events where channel = $1 and account = $2 and dedupe_key = $3
), moved as (
  update threads
     set version = version + 1, runnable_since = coalesce(runnable_since, now()), updated_at = now(),
         status = coalesce($9, ${statusAwake})
   where id = $4 and not exists (select 1 from known)
   returning id, version
), added as (
  insert into events (thread_id, seq, type, v, data, actor, channel, account, dedupe_key)
  select id, version, $5, $6, $7, $8, $1, $2, $3 from moved
)
select 'accepted' as outcome, id as thread_id, version as seq from moved
union all select 'duplicate', thread_id, seq from known`,
};

/** As above; $4 new thread, $9 agent, $10 room, $11 anchor, $12 title, $13 thread_started data, $14 its version, $15 its actor, $16 to $17 the binding's channel and account. */
export const acceptByBinding = {
  name: "accept_by_binding",
  text: `
with known as (
  select thread_id, seq from events where channel = $1 and account = $2 and dedupe_key = $3
), bound as (
  select thread_id from bindings
   where channel = $16 and account = $17 and room = $10 and anchor = $11 and not exists (select 1 from known)
), moved as (
  update threads
     set version = version + 1, runnable_since = coalesce(runnable_since, now()), updated_at = now(),
         status = ${statusAwake}
   where id = (select thread_id from bound)
   returning id, version
), founded as (
  insert into threads (id, agent, title, version, runnable_since)
  select $4, $9, $12, 2, now() where not exists (select 1 from bound) and not exists (select 1 from known)
  returning id, version
), home as (
  insert into bindings (channel, account, room, anchor, thread_id, home)
  select $16, $17, $10, $11, id, true from founded
), started as (
  insert into events (thread_id, seq, type, v, data, actor)
  select id, 1, 'thread_started', $14, $13, $15 from founded
), target as (
  select id, version from moved union all select id, version from founded
), added as (
  insert into events (thread_id, seq, type, v, data, actor, channel, account, dedupe_key)
  select id, version, $5, $6, $7, $8, $1, $2, $3 from target
)
select 'accepted' as outcome, id as thread_id, version as seq from target
union all select 'duplicate', thread_id, seq from known`,
};

const eventColumns = `jsonb_build_object('seq', seq, 'type', type, 'v', v, 'data', data, 'actor', actor,
    'at', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;

/** Most events one statement brings; a longer tail is read page by page. */
export const tailLimit = 500;

/** $1 thread, $2 owner, $3 time to live in ms. */
export const lease = {
  name: "lease",
  text: `
with held as (
  update threads
     set lease_owner = $2, lease_until = now() + $3 * interval '1 millisecond', lease_fence = lease_fence + 1
   where id = $1 and (lease_owner is null or lease_until < now())
   returning id, lease_fence, version, snapshot, snapshot_seq, failures
)
select held.lease_fence::int as fence, held.version, held.snapshot, held.failures,
       (select coalesce(jsonb_agg(e.event), '[]')
          from (select ${eventColumns} as event from events
                 where thread_id = $1 and seq > held.snapshot_seq order by seq limit ${tailLimit}) e) as tail
  from held`,
};

/** $1 thread, $2 after seq. */
export const tail = {
  name: "tail",
  text: `select ${eventColumns} as event from events where thread_id = $1 and seq > $2 order by seq limit ${tailLimit}`,
};

/** $1 thread, $2 owner, $3 fence, $4 time to live in ms. */
export const renew = {
  name: "renew",
  text: `
update threads set lease_until = now() + $4 * interval '1 millisecond'
 where id = $1 and lease_owner = $2 and lease_fence = $3
 returning status = 'cancelled' as cancelled`,
};

/** $1 thread, $2 owner, $3 fence, $4 seen seq, $5 status, $6 waiting for, $7 agent: not every event leads to a commit. */
export const release = {
  name: "release",
  text: `
update threads
   set lease_owner = null, lease_until = null, runnable_since = null, failures = 0,
       status = $5, waiting_for = $6::text[], agent = $7
 where id = $1 and lease_owner = $2 and lease_fence = $3 and version = $4
 returning id`,
};

/** $1 thread, $2 owner, $3 fence, $4 failed, $5 pause in ms. A pause puts `runnable_since` into the future: the sweeper waits for it. */
export const abandon = {
  name: "abandon",
  text: `
update threads
   set lease_owner = null, lease_until = null, failures = failures + case when $4 then 1 else 0 end,
       runnable_since = case when $4 then now() + $5 * interval '1 millisecond' else coalesce(runnable_since, now()) end
 where id = $1 and lease_owner = $2 and lease_fence = $3`,
};

/** $1 thread. */
export const holder = {
  name: "holder",
  text: "select lease_owner as owner, lease_fence::int as fence from threads where id = $1",
};

/** SQLSTATE of refuse_commit(): another commit used the approval while this one waited. All of the statement is undone. */
export const commitRefused = "PL001";

/**
 * One decision of the loop. The fence, the position and the approval are checked where the thread's row is taken;
 * all else hangs on that row. The approval is checked once more where its own row is taken: what was read of it may be from
 * before the thread's row was free. A cached column is written only if nothing came in between: then the fold was complete.
 *
 * Postgres sets up every part of a statement each time it runs, empty or not, so most commits, which neither touch an
 * approval nor set a timer, have a shorter statement of their own: the same without the last five parameters.
 *
 * $1 thread, $2 owner, $3 fence, $4 base seq, $5 only if unmoved, $6 events, $7 status, $8 waiting for, $9 agent,
 * $10 tokens, $11 usd, $12 snapshot or null, $13 release, $14 outbox, $15 model calls; $16 approvals, $17 used approval,
 * $18 its digest, $19 withdrawn approvals, $20 timers
 */
const commitText = (onlyIf: string, more: string, atEnd: string): string => `
with t as (
  update threads
     set version = version + jsonb_array_length($6::jsonb),
         status = case when version = $4 then $7 else status end,
         waiting_for = case when version = $4 then $8::text[] else waiting_for end,
         agent = case when version = $4 then $9 else agent end,
         spend_tokens = $10, spend_usd = $11,
         snapshot = case when version = $4 and $12::jsonb is not null then $12::jsonb else snapshot end,
         snapshot_seq = case when version = $4 and $12::jsonb is not null
                             then version + jsonb_array_length($6::jsonb) else snapshot_seq end,
         lease_owner = case when $13 and version = $4 then null else lease_owner end,
         runnable_since = case when $13 and version = $4 then null else runnable_since end,
         failures = 0, updated_at = now()
   where id = $1 and lease_owner = $2 and lease_fence = $3 and (not $5 or version = $4)${onlyIf}
   returning id, version, version - jsonb_array_length($6::jsonb) as base, lease_owner is null as released
), added as (
  insert into events (thread_id, seq, type, v, data, actor)
  select t.id, t.base + e.n, e.event ->> 'type', (e.event ->> 'v')::int, e.event -> 'data', e.event -> 'actor'
    from t, jsonb_array_elements($6::jsonb) with ordinality as e(event, n)
), sent as (
  insert into outbox (id, thread_id, kind, channel, account, room, anchor, content, answers)
  select o."outboxId", t.id, o.kind, o.binding ->> 'channel', o.binding ->> 'account', o.binding ->> 'room',
         o.binding ->> 'anchor', o.content, array(select jsonb_array_elements_text(o.answers)::int)
    from t, jsonb_to_recordset($14::jsonb)
      as o("outboxId" uuid, kind text, binding jsonb, content jsonb, answers jsonb)
), called as (
  insert into model_calls (id, thread_id, run_id, step_id, agent, person, model, stage, prompt_version, prompt_hash,
                           input_tokens, output_tokens, cost_usd, latency_ms, outcome, correlation_id)
  select m."modelCallId", t.id, m."runId", m."stepId", m.agent, m.person, m.model, m.stage, m."promptVersion",
         m."promptHash", m."inputTokens", m."outputTokens", m."costUsd", m."latencyMs", m.outcome, m."correlationId"
    from t, jsonb_to_recordset($15::jsonb)
      as m("modelCallId" uuid, "runId" uuid, "stepId" uuid, agent text, person text, model text, stage text,
           "promptVersion" text, "promptHash" text, "inputTokens" int, "outputTokens" int,
           "costUsd" double precision, "latencyMs" double precision, outcome text, "correlationId" text)
)${more}
select base, version, released from t${atEnd}`;

export const commit = { name: "commit", text: commitText("", "", "") };

export const commitWithApprovals = {
  name: "commit_with_approvals",
  text: commitText(
    `
     and ($17::uuid is null or exists (
           select 1 from approvals where id = $17 and status = 'approved' and digest = $18))`,
    `, asked as (
  insert into approvals (id, thread_id, call_id, agent, tool, summary, args, digest, code, requesters, policy,
                         policy_version, quorum, expires_at)
  select a."approvalId", t.id, a."callId", a.agent, a.tool, a.summary, a.args, a.digest, a.code,
         array(select jsonb_array_elements_text(a.requesters)), a.policy, a."policyVersion",
         (a.policy ->> 'quorum')::int, a."expiresAt"
    from t, jsonb_to_recordset($16::jsonb)
      as a("approvalId" uuid, "callId" uuid, agent text, tool text, summary text, args jsonb, digest text, code text,
           requesters jsonb, policy jsonb, "policyVersion" text, "expiresAt" timestamptz)
), used as (
  update approvals set status = 'used', used_at = now()
   where id = $17 and status = 'approved' and digest = $18 and exists (select 1 from t)
   returning id
), withdrawn as (
  update approvals set status = 'withdrawn', decided_at = now()
   where id = any ($19::uuid[]) and status in ('pending', 'approved') and exists (select 1 from t)
), due as (
  insert into timers (id, thread_id, kind, subject, due_at)
  select d."timerId", t.id, d.kind, d.subject, d."dueAt"
    from t, jsonb_to_recordset($20::jsonb) as d("timerId" uuid, kind text, subject uuid, "dueAt" timestamptz)
)`,
    `
 where case when $17::uuid is null or exists (select 1 from used) then true else refuse_commit() end`,
  ),
};

/** $1 person or null. */
export const spentToday = {
  name: "spent_today",
  text: `
select coalesce(sum(input_tokens + output_tokens), 0)::float8 as day_tokens,
       coalesce(sum(cost_usd), 0)::float8 as day_usd,
       coalesce(sum(input_tokens + output_tokens) filter (where person = $1), 0)::float8 as person_tokens,
       coalesce(sum(cost_usd) filter (where person = $1), 0)::float8 as person_usd
  from model_calls
 where at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC'`,
};

/** $1 approval. */
export const storedAction = {
  name: "stored_action",
  text: `
select digest, tool, args, agent, thread_id as "threadId", call_id as "callId", requesters,
       policy_version as "policyVersion",
       to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "expiresAt"
  from approvals where id = $1`,
};
