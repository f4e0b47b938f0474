import { describe, expect, it } from "vitest";
import { flameGraph, framesOf, owners } from "../../bench/flame.ts";

const frame = (functionName: string, url = "") => ({ functionName, url });
/** root -> idle; root -> work -> query, and the same path once more under an id of its own. */
const profile = JSON.stringify({
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 3, 5] },
    { id: 2, callFrame: frame("(idle)") },
    { id: 3, callFrame: frame("work"), children: [4] },
    { id: 4, callFrame: frame("query<T>", "file:///x/node_modules/pg/lib/client.js") },
    { id: 5, callFrame: frame("work"), children: [6] },
    { id: 6, callFrame: frame("query<T>", "file:///x/node_modules/pg/lib/client.js") },
  ],
  samples: [2, 3, 4, 6],
  timeDeltas: [90_000, 1_000, 2_000, 3_000],
});

describe("a flame graph", () => {
  it("adds up the same path and leaves idle time out", () => {
    const whole = framesOf(profile);
    expect(whole.ms).toBe(6);
    expect([...whole.children.values()].map(({ name, ms }) => [name, ms])).toEqual([["work", 6]]);
    expect(Object.fromEntries(owners(whole))).toEqual({ node: 1, pg: 5 });
  });

  it("draws each frame as wide as its share, with its name escaped", () => {
    const svg = flameGraph(framesOf(profile));
    expect(svg).toContain("<title>query&lt;T&gt; pg/lib/client.js: 83.3 %</title>");
    expect(svg).toMatch(/width="999\.5"[^>]*fill="#5b8def"/);
  });
});
