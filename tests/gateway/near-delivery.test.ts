import { describe, expect, it } from "vitest";
import type { Doorbell } from "../../core/ports.ts";
import { nearDelivery } from "../../gateway/near-delivery.ts";

interface Begun {
  threadId: string;
  stop: AbortSignal;
  end: () => void;
  fail: (error: Error) => void;
}

function setUp(most = 2) {
  const begun: Begun[] = [];
  const rung: string[] = [];
  const logged: string[] = [];
  const doorbell: Doorbell = {
    ringThread: async (threadId) => void rung.push(`thread ${threadId}`),
    ringDelivery: async (threadId, delayMs = 0, lost = false) =>
      void rung.push(`delivery ${threadId} ${delayMs} ${lost}`),
    ringTimer: async () => {},
  };
  const near = nearDelivery({
    doorbell,
    logger: (_level, event) => void logged.push(event),
    most,
    deliverThread: (threadId, stop) =>
      new Promise((resolve, reject) => {
        begun.push({ threadId, stop, end: resolve, fail: reject });
      }),
  });
  return { near, begun, rung, logged };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("near delivery", () => {
  it("delivers a ring for now in this process, and does not keep whoever rings waiting", async () => {
    const { near, begun, rung } = setUp();
    await near.doorbell.ringDelivery("a");
    expect(begun.map(({ threadId }) => threadId)).toEqual(["a"]);
    expect(rung).toEqual([]);
  });

  it("delivers once more when it was rung for meanwhile, however often", async () => {
    const { near, begun } = setUp();
    await near.doorbell.ringDelivery("a");
    await near.doorbell.ringDelivery("a");
    await near.doorbell.ringDelivery("a");
    expect(begun).toHaveLength(1);
    begun[0]?.end();
    await turn();
    expect(begun).toHaveLength(2);
    begun[1]?.end();
    await turn();
    expect(begun).toHaveLength(2);
  });

  it("leaves to the queue what is for later, what was lost, and what is too much for it", async () => {
    const { near, begun, rung } = setUp(1);
    await near.doorbell.ringDelivery("a", 500);
    await near.doorbell.ringDelivery("b", 0, true);
    await near.doorbell.ringDelivery("c");
    await near.doorbell.ringDelivery("d");
    expect(begun.map(({ threadId }) => threadId)).toEqual(["c"]);
    expect(rung).toEqual(["delivery a 500 false", "delivery b 0 true", "delivery d 0 false"]);
  });

  it("logs a delivery that fails, and takes the thread's next ring", async () => {
    const { near, begun, logged } = setUp();
    await near.doorbell.ringDelivery("a");
    begun[0]?.fail(new Error("no database"));
    await turn();
    expect(logged).toEqual(["queue.handler_failed"]);
    await near.doorbell.ringDelivery("a");
    expect(begun).toHaveLength(2);
  });

  it("that stops waits for what runs, and sends later rings to the queue", async () => {
    const { near, begun, rung } = setUp();
    await near.doorbell.ringDelivery("a");
    const stopped = near.stop(5_000);
    await near.doorbell.ringDelivery("b");
    begun[0]?.end();
    await stopped;
    expect(begun[0]?.stop.aborted).toBe(false);
    expect(rung).toEqual(["delivery b 0 false"]);
  });

  it("that stops cuts off what takes longer than its grace, and rings for it", async () => {
    const { near, begun, rung } = setUp();
    await near.doorbell.ringDelivery("a");
    begun[0]?.stop.addEventListener("abort", () => begun[0]?.end());
    await near.stop(20);
    expect(rung).toEqual(["delivery a 0 false"]);
  });
});
