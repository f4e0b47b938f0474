/** The fictional shop's orders, for trying the support agent out. */
import type { AgentEnvironment } from "../../agent.ts";

const orders = [
  { id: "A-1001", customer: "Ada Miller", item: "Desk lamp Lumo", placedOn: "2026-03-02", cents: 3_990 },
  { id: "A-1002", customer: "Ben Okafor", item: "Standing desk Alto", placedOn: "2026-03-04", cents: 34_900 },
  {
    id: "A-1003",
    customer: "Chiara Rossi",
    item: "Notebook, pack of five",
    placedOn: "2026-03-05",
    cents: 1_250,
  },
  {
    id: "A-1004",
    customer: "Dana Schmidt",
    item: "Office chair Forma",
    placedOn: "2026-03-09",
    cents: 18_900,
  },
  { id: "A-1005", customer: "Emil Larsen", item: "Monitor arm Duo", placedOn: "2026-03-11", cents: 8_450 },
  { id: "A-1006", customer: "Farah Haddad", item: "Cable tray", placedOn: "2026-03-12", cents: 2_400 },
];

/** Each order comes together with its charge, or not at all; what is there stays as it is. */
const seedSql = `
  with fresh as (
    insert into agent_support.orders (order_id, customer, item, placed_on, currency, charged_cents)
    select s.id, s.customer, s.item, s."placedOn", 'EUR', s.cents
    from jsonb_to_recordset($1::jsonb) as s (id text, customer text, item text, "placedOn" date, cents bigint)
    order by s.id
    on conflict do nothing
    returning order_id, charged_cents, placed_on
  )
  insert into agent_support.ledger (idempotency_key, order_id, kind, amount_cents, reason, requester, at)
  select 'demo:charge:' || order_id, order_id, 'charge', charged_cents, 'order', 'demo', placed_on from fresh
  on conflict do nothing`;

export async function seedOrders(query: AgentEnvironment["query"]): Promise<void> {
  await query(seedSql, [JSON.stringify(orders)]);
}
