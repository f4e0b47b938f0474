/** What every channel has to keep, whatever its platform. Each channel's tests call it; so do those of the fake one. */
import { describe, expect, it } from "vitest";
import type { Channel, Delivery } from "../../channels/channel.ts";
import { DeliveryError } from "../../core/errors.ts";
import { ids } from "../../gateway/ids.ts";

export interface ChannelUnderTest {
  channel: Channel;
  /** A delivery that its platform would take, but for its id. */
  delivery: Omit<Delivery, "id" | "attempt">;
  /** How often the platform shows the message. Null where there is nothing to place. */
  shown: ((deliveryId: string) => number) | null;
  /** Ways to make the next send fail, each with a name. Empty where a send cannot fail. */
  troubles: Readonly<Record<string, () => void>>;
  close?(): Promise<void>;
}

const calm = (): AbortSignal => new AbortController().signal;

/** @param make gives a fresh channel and platform for each test. */
export function channelContract(
  name: string,
  make: () => ChannelUnderTest | Promise<ChannelUnderTest>,
): void {
  const testing =
    (use: (under: ChannelUnderTest, delivery: Delivery) => Promise<void>): (() => Promise<void>) =>
    async () => {
      const under = await make();
      try {
        await use(under, { ...under.delivery, id: ids.next(), attempt: 1 });
      } finally {
        await under.close?.();
      }
    };

  describe(`the ${name} channel`, () => {
    it(
      "has a name that fits a binding, and a rate",
      testing(async ({ channel, delivery }) => {
        expect(channel.name).toMatch(/^[a-z][a-z0-9_-]{0,39}$/);
        expect(channel.name).toBe(delivery.binding.channel);
        expect(channel.maxSendsPerSecond).toBeGreaterThan(0);
      }),
    );

    it(
      "gives a receipt for what it places, and places it once",
      testing(async ({ channel, shown }, delivery) => {
        const receipt = await channel.send(delivery, calm());
        expect(receipt.platformId).not.toBe("");
        if (shown !== null) expect(shown(delivery.id)).toBe(1);
      }),
    );

    it(
      "finds what it placed, or says that it cannot tell",
      testing(async ({ channel }, delivery) => {
        const receipt = await channel.send(delivery, calm());
        expect([receipt, "unknown"]).toContainEqual(await channel.find(delivery, calm()));
      }),
    );

    it(
      "does not find what was never placed",
      testing(async ({ channel, shown }, delivery) => {
        if (shown !== null) expect(["absent", "unknown"]).toContain(await channel.find(delivery, calm()));
      }),
    );

    it(
      "places a message once for each id where it says that repeating is harmless",
      testing(async ({ channel, shown }, delivery) => {
        if (!channel.sendIsIdempotent) return;
        const first = await channel.send(delivery, calm());
        const again = await channel.send({ ...delivery, attempt: 2 }, calm());
        expect(again).toEqual(first);
        if (shown !== null) expect(shown(delivery.id)).toBe(1);
      }),
    );

    it(
      "settles at once when the signal has fired, with a receipt or a DeliveryError",
      testing(async ({ channel }, delivery) => {
        for (const attempt of [channel.send, channel.find]) {
          const error = await attempt.call(channel, delivery, AbortSignal.abort()).then(
            () => null,
            (thrown: unknown) => thrown,
          );
          if (error !== null) expect(error).toBeInstanceOf(DeliveryError);
        }
      }),
    );

    it(
      "fails with a DeliveryError that says what can be said in public",
      testing(async ({ channel, troubles }, delivery) => {
        for (const trouble of Object.values(troubles)) {
          trouble();
          const error = await channel.send({ ...delivery, id: ids.next() }, calm()).catch((thrown) => thrown);
          expect(error).toBeInstanceOf(DeliveryError);
          expect(error.publicText).not.toBe("");
          expect(["not_sent", "unknown"]).toContain(error.outcome);
        }
      }),
    );

    it(
      "that says nothing was sent has placed nothing",
      testing(async ({ channel, shown, troubles }, delivery) => {
        for (const trouble of Object.values(troubles)) {
          trouble();
          const one = { ...delivery, id: ids.next() };
          const error = await channel.send(one, calm()).catch((thrown) => thrown);
          if (error.outcome === "not_sent" && shown !== null) expect(shown(one.id)).toBe(0);
        }
      }),
    );
  });
}
