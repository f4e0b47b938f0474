/**
 * Orders and the ledger of charges and refunds, in integer cents. A refund is one statement: the order's sum and the
 * ledger's line come together or not at all, the same idempotency key refunds once, and never more than was charged.
 */
import { z } from "zod";
import type { AgentEnvironment } from "../agent.ts";

type Query = AgentEnvironment["query"];

/** `bigint` comes back as text from Postgres. */
const cents = z.coerce.number().int();
const orderSchema = z.object({
  orderId: z.string(),
  customer: z.string(),
  item: z.string(),
  placedOn: z.string(),
  currency: z.string(),
  chargedCents: cents,
  refundedCents: cents,
});
export type Order = z.infer<typeof orderSchema> & { refundableCents: number };

export interface Refund {
  orderId: string;
  amountCents: number;
  /** What the order had been refunded when this was proposed: the sum that the approval was judged by. */
  refundedBeforeCents: number;
  reason: string;
}

export interface Refunded {
  orderId: string;
  amountCents: number;
  currency: string;
  refundedCents: number;
  refundableCents: number;
}

export interface Ledger {
  /** @throws {Error} with a plain sentence when there is no such order. */
  order(orderId: string): Promise<Order>;
  /**
   * Safe to repeat with the same key: the first result comes back and no money moves.
   * @throws {Error} with a plain sentence when the order's state does not allow it.
   */
  refund(refund: Refund, call: { key: string; requester: string }): Promise<Refunded>;
}

const orderSql = `select order_id as "orderId", customer, item, to_char(placed_on, 'YYYY-MM-DD') as "placedOn",
  currency, charged_cents as "chargedCents", refunded_cents as "refundedCents"
  from agent_support.orders where order_id = $1`;

/**
 * When two refunds meet, the second waits for the order's row and then finds `refunded_cents` changed: it moves nothing.
 */
const refundSql = `
  with moved as (
    update agent_support.orders set refunded_cents = refunded_cents + $2
    where order_id = $1 and refunded_cents = $3 and refunded_cents + $2 <= charged_cents
      and not exists (select 1 from agent_support.ledger where idempotency_key = $4)
    returning order_id
  )
  insert into agent_support.ledger (idempotency_key, order_id, kind, amount_cents, reason, requester)
  select $4, order_id, 'refund', $2, $5, $6 from moved
  returning order_id`;

export function openLedger(query: Query): Ledger {
  const order = async (orderId: string): Promise<Order> => {
    const [row] = await query(orderSql, [orderId]);
    if (row === undefined) throw new Error(`There is no order ${orderId}.`);
    const found = orderSchema.parse(row);
    return { ...found, refundableCents: found.chargedCents - found.refundedCents };
  };
  return {
    order,
    async refund(refund, { key, requester }) {
      const { orderId, amountCents, refundedBeforeCents, reason } = refund;
      const moved = await query(refundSql, [
        orderId,
        amountCents,
        refundedBeforeCents,
        key,
        reason,
        requester,
      ]);
      const now = await order(orderId);
      if (moved.length === 0) await assertRefundedBefore(query, refund, { key, now });
      return {
        orderId,
        amountCents,
        currency: now.currency,
        refundedCents: now.refundedCents,
        refundableCents: now.refundableCents,
      };
    },
  };
}

/** Nothing moved: fine if this very call did it earlier, otherwise says why not. */
async function assertRefundedBefore(
  query: Query,
  refund: Refund,
  { key, now }: { key: string; now: Order },
): Promise<void> {
  const [row] = await query(
    `select order_id as "orderId", amount_cents as "amountCents" from agent_support.ledger where idempotency_key = $1`,
    [key],
  );
  if (row !== undefined) {
    const earlier = z.object({ orderId: z.string(), amountCents: cents }).parse(row);
    if (earlier.orderId === refund.orderId && earlier.amountCents === refund.amountCents) return;
    throw new Error("This call was used for another refund already; nothing was refunded now.");
  }
  const money = (amountCents: number): string => formatMoney(amountCents, now.currency);
  if (now.refundedCents !== refund.refundedBeforeCents) {
    throw new Error(
      `${refund.orderId} has been refunded ${money(now.refundedCents)}, not ${money(refund.refundedBeforeCents)}: look the order up again.`,
    );
  }
  throw new Error(
    `${money(refund.amountCents)} is more than the ${money(now.refundableCents)} that can still be refunded on ${refund.orderId}.`,
  );
}

export const amount = (amountCents: number): string => (amountCents / 100).toFixed(2);

export const formatMoney = (amountCents: number, currency: string): string =>
  `${amount(amountCents)} ${currency}`;
