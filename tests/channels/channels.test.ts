import { expect, it } from "vitest";
import { channels } from "../../channels/registry.ts";
import { webChannel } from "../../channels/web/index.ts";
import { channelContract } from "../contract/channel.ts";
import { type Behaviour, fakeChannel } from "../support/fake-channel.ts";
import { bindingAt } from "../support/loop.ts";

const delivery = { threadId: "t", kind: "reply", content: { text: "hello" } } as const;

channelContract("web", () => ({
  channel: webChannel,
  delivery: { ...delivery, binding: bindingAt("t") },
  shown: null,
  troubles: {},
}));

for (const sendIsIdempotent of [false, true]) {
  channelContract(sendIsIdempotent ? "fake idempotent" : "fake", () => {
    const channel = fakeChannel({ sendIsIdempotent });
    const troubles: Behaviour[] = ["refuse", "refuse_for_good", { refuseForMs: 5 }, "drop", "lose"];
    return {
      channel,
      delivery: { ...delivery, binding: { ...bindingAt("t"), channel: "fake" } },
      shown: (id) => channel.placed.filter(({ deliveryId }) => deliveryId === id).length,
      troubles: Object.fromEntries(
        troubles.map((trouble) => [JSON.stringify(trouble), () => channel.next(trouble)]),
      ),
    };
  });
}

it("every registered channel has a name of its own", () => {
  const names = channels.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
