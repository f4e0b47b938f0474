-- Up Migration

-- Threads: one row each. The log in `events` is the truth; status, waiting_for, title, spend and snapshot are caches of its fold.
create table threads (
  id uuid primary key,
  agent text not null,
  status text not null default 'running',
  waiting_for text[] not null default '{}',
  title text not null default '',
  version integer not null default 0,
  spend_tokens bigint not null default 0,
  spend_usd double precision not null default 0,
  lease_owner text,
  lease_until timestamptz,
  lease_fence bigint not null default 0,
  runnable_since timestamptz,
  -- Failures inside the program in a row; a commit resets it.
  failures integer not null default 0,
  snapshot jsonb,
  snapshot_seq integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index threads_runnable on threads (runnable_since) where runnable_since is not null;
create index threads_recent on threads (updated_at desc, id desc);

create table bindings (
  channel text not null,
  account text not null,
  room text not null,
  anchor text not null,
  thread_id uuid not null references threads (id),
  home boolean not null default false,
  created_at timestamptz not null default now(),
  primary key (channel, account, room, anchor)
);
create index bindings_thread on bindings (thread_id);

create table events (
  thread_id uuid not null references threads (id),
  seq integer not null,
  type text not null,
  v smallint not null,
  data jsonb not null,
  actor jsonb not null,
  at timestamptz not null default now(),
  channel text,
  account text,
  dedupe_key text,
  primary key (thread_id, seq)
);
create unique index events_dedupe on events (channel, account, dedupe_key) where dedupe_key is not null;
-- Whatever else goes wrong, one approval begins one tool call.
create unique index events_approval_begins_once on events ((data ->> 'approvalId'))
  where type = 'tool_started' and (data ->> 'attempt') = '1';

create table outbox (
  id uuid primary key,
  position bigint generated always as identity,
  thread_id uuid not null references threads (id),
  kind text not null,
  channel text not null,
  account text not null,
  room text not null,
  anchor text not null,
  content jsonb not null,
  answers integer[] not null default '{}',
  status text not null default 'pending' check (status in ('pending', 'sending', 'sent', 'uncertain', 'failed')),
  attempts integer not null default 0,
  -- An earlier attempt may have arrived: the platform is asked before the next one sends.
  ambiguous boolean not null default false,
  next_attempt_at timestamptz not null default now(),
  claim_token uuid,
  claim_until timestamptz,
  receipt text,
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index outbox_open on outbox (thread_id, position) where status in ('pending', 'sending');
create index outbox_due on outbox (next_attempt_at) where status = 'pending';
create index outbox_claimed on outbox (claim_until) where status = 'sending';
create index outbox_recent on outbox (created_at desc, id desc);

create table approvals (
  id uuid primary key,
  thread_id uuid not null references threads (id),
  call_id uuid not null,
  agent text not null,
  tool text not null,
  summary text,
  args jsonb not null,
  digest text not null,
  code text not null,
  requesters text[] not null,
  policy jsonb not null,
  policy_version text not null,
  quorum integer not null,
  status text not null default 'pending'
    check (status in ('pending', 'approved', 'used', 'rejected', 'expired', 'withdrawn')),
  escalated boolean not null default false,
  approvers text[] not null default '{}',
  decided_by text,
  decided_at timestamptz,
  reason text,
  expires_at timestamptz,
  used_at timestamptz,
  created_at timestamptz not null default now()
);
create index approvals_thread on approvals (thread_id);
create index approvals_recent on approvals (created_at desc, id desc);
create unique index approvals_code on approvals (code) where status = 'pending';

create table decisions (
  id bigint generated always as identity primary key,
  approval_id uuid not null references approvals (id),
  person text not null,
  verdict text not null,
  sender jsonb not null,
  reason text,
  args jsonb,
  digest text not null,
  at timestamptz not null default now()
);
create index decisions_approval on decisions (approval_id);

create table timers (
  id uuid primary key,
  thread_id uuid not null references threads (id),
  kind text not null check (kind in ('wait', 'model_retry', 'approval_expiry')),
  -- The approval, for an expiry.
  subject uuid,
  due_at timestamptz not null
);
create index timers_due on timers (due_at);
create index timers_thread on timers (thread_id);
create index timers_subject on timers (subject) where subject is not null;

create table model_calls (
  id uuid primary key,
  thread_id uuid not null references threads (id),
  run_id uuid not null,
  step_id uuid,
  agent text not null,
  person text,
  model text not null,
  stage text not null,
  prompt_version text not null,
  prompt_hash text not null,
  input_tokens integer not null,
  output_tokens integer not null,
  cost_usd double precision,
  latency_ms double precision not null,
  outcome text not null,
  correlation_id text not null,
  at timestamptz not null default now()
);
create index model_calls_thread on model_calls (thread_id, at);
create index model_calls_day on model_calls (at);
create index model_calls_person_day on model_calls (person, at) where person is not null;

create table tokens (
  id uuid primary key,
  hash text not null unique,
  name text not null,
  person text not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

create table sessions (
  hash text primary key,
  token_id uuid not null references tokens (id),
  csrf_token text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);

-- Each row holds the hash of the one before: a changed or missing row breaks the chain. Contents are hashed, never copied.
create table audit (
  id bigint primary key,
  at timestamptz not null,
  action text not null,
  subject text not null,
  actor text not null,
  content_hash text not null,
  hash text not null
);

-- A JSON array, because its members cannot run into each other.
create function audit_hash(
  p_before text, p_id bigint, p_at timestamptz, p_action text, p_subject text, p_actor text, p_content_hash text
) returns text language sql stable as $$
  select encode(sha256(convert_to(jsonb_build_array(coalesce(p_before, ''), p_id,
    to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), p_action, p_subject, p_actor, p_content_hash)::text,
    'UTF8')), 'hex')
$$;

create function append_audit(p_action text, p_subject text, p_actor text, p_content text) returns void
language plpgsql as $$
declare
  last audit;
  now_at timestamptz := clock_timestamp();
  content text := encode(sha256(convert_to(p_content, 'UTF8')), 'hex');
begin
  perform pg_advisory_xact_lock(7470, 1);
  select * into last from audit order by id desc limit 1;
  insert into audit values (
    coalesce(last.id, 0) + 1, now_at, p_action, p_subject, p_actor, content,
    audit_hash(last.hash, coalesce(last.id, 0) + 1, now_at, p_action, p_subject, p_actor, content)
  );
end $$;

-- Undoes the statement it is called in.
create function refuse_commit() returns boolean language plpgsql volatile as $$
begin
  raise exception 'the approval cannot be used' using errcode = 'PL001';
end $$;

-- Appends one event to a thread whose row the caller has locked, and rings it awake.
create function append_event(p_thread uuid, p_type text, p_v integer, p_data jsonb, p_actor jsonb) returns integer
language plpgsql as $$
declare
  at_seq integer;
begin
  update threads
     set version = version + 1, runnable_since = coalesce(runnable_since, now()), updated_at = now(),
         -- Nothing but a message wakes a halted thread.
         status = case when status in ('paused', 'cancelled') then status else 'running' end
   where id = p_thread
   returning version into at_seq;
  insert into events (thread_id, seq, type, v, data, actor) values (p_thread, at_seq, p_type, p_v, p_data, p_actor);
  return at_seq;
end $$;

-- One person's verdict on one approval. Whoever gets the thread's row lock first decides; everyone later is told.
-- Locks go thread first, approval second, here and in every other statement.
create function decide_approval(
  p_approval uuid, p_verdict text, p_person text, p_sender jsonb, p_reason text, p_args jsonb, p_digest text,
  p_event_v integer
) returns table (outcome text, new_status text, missing integer, thread uuid, at_seq integer, by_whom text)
language plpgsql as $$
declare
  a approvals;
  agreed text[];
  final boolean;
begin
  select thread_id into thread from approvals where id = p_approval;
  if not found then
    return query select 'not_found', null::text, 0, null::uuid, 0, null::text;
    return;
  end if;
  perform 1 from threads where id = thread for update;
  select * into a from approvals where id = p_approval for update;
  if a.status <> 'pending' then
    return query select 'already', a.status, 0, a.thread_id, 0, a.decided_by;
    return;
  end if;
  if a.expires_at is not null and a.expires_at <= now() and (a.policy ->> 'atExpiry') = 'deny' then
    return query select 'already', 'expired', 0, a.thread_id, 0, null::text;
    return;
  end if;
  if p_verdict = 'approve' and p_digest <> a.digest then
    return query select 'already', 'changed', 0, a.thread_id, 0, null::text;
    return;
  end if;
  if p_verdict = 'approve' and p_person = any (a.approvers) then
    -- Agreed already: a second click counts no further and is not recorded again.
    return query select 'counted', a.status, a.quorum - cardinality(a.approvers), a.thread_id,
      (select version from threads where id = a.thread_id), p_person;
    return;
  end if;
  agreed := case
    when p_verdict = 'edit' then array[p_person]
    when p_verdict = 'approve' then a.approvers || p_person
    else a.approvers end;
  final := p_verdict = 'reject' or (p_verdict in ('approve', 'edit') and cardinality(agreed) >= a.quorum);
  update approvals
     set approvers = agreed,
         args = case when p_verdict = 'edit' then p_args else args end,
         digest = case when p_verdict = 'edit' then p_digest else digest end,
         status = case when not final then 'pending' when p_verdict = 'reject' then 'rejected' else 'approved' end,
         decided_by = case when final then p_person end,
         decided_at = case when final then now() end,
         reason = coalesce(p_reason, reason)
   where id = p_approval
   returning status into new_status;
  insert into decisions (approval_id, person, verdict, sender, reason, args, digest)
  values (p_approval, p_person, p_verdict, p_sender, p_reason, p_args, p_digest);
  at_seq := append_event(a.thread_id, 'approval_decided', p_event_v,
    jsonb_build_object('approvalId', p_approval, 'verdict', p_verdict, 'sender', p_sender, 'reason', p_reason,
      'args', p_args, 'digest', p_digest, 'final', final),
    jsonb_build_object('kind', 'person', 'sender', p_sender));
  if final then
    delete from timers where subject = p_approval;
  end if;
  perform append_audit('approval.' || p_verdict, p_approval::text, p_person, p_digest || coalesce(p_reason, ''));
  return query select
    case when final or p_verdict = 'ask_back' then 'decided' else 'counted' end,
    new_status, greatest(a.quorum - cardinality(agreed), 0), a.thread_id, at_seq, p_person;
end $$;

-- Fires a timer that is due; gives the thread to ring, null when it is gone or early. Safe to call any number of times.
create function fire_timer(p_timer uuid) returns uuid
language plpgsql as $$
declare
  t timers;
  a approvals;
  consequence text;
  actor jsonb := '{"kind": "system", "name": "timers"}';
begin
  select * into t from timers where id = p_timer;
  if not found then return null; end if;
  perform 1 from threads where id = t.thread_id for update;
  delete from timers where id = p_timer and due_at <= now() returning * into t;
  if not found then return null; end if;
  if t.kind <> 'approval_expiry' then
    perform append_event(t.thread_id, 'timer_fired', 1, jsonb_build_object('timerId', t.id), actor);
    return t.thread_id;
  end if;
  select * into a from approvals where id = t.subject for update;
  if a.status is distinct from 'pending' then return null; end if;
  consequence := coalesce(a.policy ->> 'atExpiry', 'deny');
  update approvals
     set status = case when consequence = 'deny' then 'expired' else status end,
         escalated = escalated or consequence = 'escalate'
   where id = a.id;
  perform append_event(t.thread_id, 'approval_expired', 1,
    jsonb_build_object('approvalId', a.id, 'consequence', consequence), actor);
  perform append_audit('approval.expired', a.id::text, 'timers', a.digest || consequence);
  return t.thread_id;
end $$;
