/** The tables of the support agent, in a schema of its own. */
import type { AgentEnvironment } from "../agent.ts";

/**
 * One statement under a lock: workers that start together do not trip over each other's `if not exists`.
 * `orders.refunded_cents` is the sum of the order's refunds in the ledger; both change in one statement.
 */
const createSql = `do $$ begin
  perform pg_advisory_xact_lock(hashtext('parley agent_support'));
  create schema if not exists agent_support;
  create table if not exists agent_support.articles (
    source text primary key,
    title text not null,
    body text not null,
    content_hash text not null,
    document tsvector not null
  );
  create index if not exists articles_document on agent_support.articles using gin (document);
  create table if not exists agent_support.orders (
    order_id text primary key,
    customer text not null,
    item text not null,
    placed_on date not null,
    currency text not null,
    charged_cents bigint not null check (charged_cents > 0),
    refunded_cents bigint not null default 0 check (refunded_cents between 0 and charged_cents)
  );
  create table if not exists agent_support.ledger (
    idempotency_key text primary key,
    order_id text not null references agent_support.orders,
    kind text not null check (kind in ('charge', 'refund')),
    amount_cents bigint not null check (amount_cents > 0),
    reason text not null,
    requester text not null,
    at timestamptz not null default now()
  );
  create index if not exists ledger_order on agent_support.ledger (order_id, at);
end $$`;

/** Safe to repeat, and from several workers at once. */
export async function createTables(query: AgentEnvironment["query"]): Promise<void> {
  await query(createSql);
}
