/** Outbound messages and what became of them; a person can send a dead letter again, or say what became of it. */

import { errorLine } from "../../../core/errors.ts";
import { pageFrom, placeOf } from "../cursor.ts";
import type { HttpDeps } from "../deps.ts";
import { refuse } from "../problem.ts";
import { answer, defineRoute, type Route } from "../route.ts";
import { deliveriesQuery, deliveryParams, deliveryView, emptyBody, pageOf, settleBody } from "../schemas.ts";

export function deliveryRoutes(deps: HttpDeps): Route[] {
  const found = async (deliveryId: string) => {
    const delivery = await deps.listing.delivery(deliveryId);
    if (delivery === null) throw refuse("not_found", "There is no such delivery.");
    return delivery;
  };
  /** Null from the outbox: the entry is not failed or uncertain (any more). */
  const changed = async (
    deliveryId: string,
    change: () => Promise<{ threadId: string } | null>,
    log: string,
  ) => {
    await found(deliveryId);
    if ((await change()) === null) {
      const { status } = await found(deliveryId);
      throw refuse("conflict", `The delivery is ${status}; only a failed or uncertain one can be changed.`);
    }
    const delivery = await found(deliveryId);
    deps.logger("info", log, { deliveryId, threadId: delivery.threadId });
    return delivery;
  };

  return [
    defineRoute({
      method: "get",
      path: "/v1/deliveries",
      access: "deliveries:read",
      summary: "Outbound messages, newest first.",
      query: deliveriesQuery,
      answers: { 200: { description: "A page of deliveries.", schema: pageOf(deliveryView) } },
      async handle({ query: { cursor, limit, status, threadId } }) {
        const after = placeOf(cursor);
        const slice = await deps.listing.deliveries({
          status: status ?? null,
          threadId: threadId ?? null,
          after,
          limit,
        });
        return answer(
          200,
          pageFrom(slice, (delivery) => delivery),
        );
      },
    }),
    defineRoute({
      method: "get",
      path: "/v1/deliveries/:deliveryId",
      access: "deliveries:read",
      summary: "One outbound message.",
      params: deliveryParams,
      answers: { 200: { description: "The delivery.", schema: deliveryView } },
      handle: async ({ params }) => answer(200, await found(params.deliveryId)),
    }),
    defineRoute({
      method: "post",
      path: "/v1/deliveries/:deliveryId/retry",
      access: "deliveries:write",
      summary: "Send a failed or uncertain message again. An uncertain one may arrive twice.",
      params: deliveryParams,
      body: emptyBody,
      answers: { 200: { description: "It is in line again.", schema: deliveryView } },
      async handle({ params: { deliveryId } }) {
        const delivery = await changed(deliveryId, () => deps.outbox.retry(deliveryId), "delivery_retried");
        await ringDelivery(deps, delivery.threadId);
        return answer(200, delivery);
      },
    }),
    defineRoute({
      method: "post",
      path: "/v1/deliveries/:deliveryId/settle",
      access: "deliveries:write",
      summary: "Say what became of a failed or uncertain message.",
      params: deliveryParams,
      body: settleBody,
      answers: { 200: { description: "Settled.", schema: deliveryView } },
      async handle({ params: { deliveryId }, body, caller }) {
        const { person } = caller;
        const by = { note: `${person}: ${body.note}`, person };
        const settle = () => deps.outbox.settle(deliveryId, body.outcome, by);
        return answer(200, await changed(deliveryId, settle, "delivery_settled"));
      },
    }),
  ];
}

/** A bell that cannot be rung is the sweeper's business. */
async function ringDelivery({ doorbell, logger }: HttpDeps, threadId: string): Promise<void> {
  try {
    await doorbell.ringDelivery(threadId);
  } catch (error) {
    logger("warn", "doorbell_failed", { threadId, error: errorLine(error) });
  }
}
