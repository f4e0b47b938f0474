import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sparingly } from "../../queue/log.ts";
import { recordedLog } from "./recorded.ts";

describe("a sparing log", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("lets one line of each event through in its time, and then says how many it left out", () => {
    const { log, lines } = recordedLog();
    const sparing = sparingly(log, 1_000);

    for (let i = 0; i < 5; i += 1) sparing("warn", "queue.error", { i });
    sparing("warn", "queue.other", {});
    vi.advanceTimersByTime(1_001);
    sparing("warn", "queue.error", { i: 5 });

    expect(lines.map(({ event, fields }) => ({ event, fields }))).toEqual([
      { event: "queue.error", fields: { i: 0 } },
      { event: "queue.other", fields: {} },
      { event: "queue.error", fields: { i: 5, suppressed: 4 } },
    ]);
  });
});
