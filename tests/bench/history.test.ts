import { describe, expect, it } from "vitest";
import { isClean, openHistory } from "../../bench/history.ts";

/** One conversation of `sent` messages, and its replies as [id, text] in the order of their sends. */
function verdictOf(sent: number, replies: [string, string][]) {
  const history = openHistory();
  for (let at = 0; at < sent; at += 1) history.sent("c");
  // They arrive in another order than they were sent in: only `at` counts.
  const arrived = replies.map(([id, text], at) => ({ id, text, at })).reverse();
  for (const reply of arrived) history.replied("c", reply);
  return history.verdict();
}

describe("the fake platform's history", () => {
  it("finds nothing wrong when each message is seen once and in order, merged or not", () => {
    const verdict = verdictOf(4, [
      ["a", "1"],
      ["b", "1,2,3"],
      ["c", "1,2,3,4"],
    ]);
    expect(verdict).toMatchObject({ sent: 4, replies: 3 });
    expect(isClean(verdict)).toBe(true);
  });

  it("finds a message that no reply has seen", () => {
    expect(verdictOf(3, [["a", "1,2"]])).toMatchObject({ lost: 1, disordered: 0, doubled: 0 });
    expect(verdictOf(2, [])).toMatchObject({ lost: 2 });
  });

  it("finds messages that were seen out of order, with a gap, or not at all where a later one was", () => {
    expect(verdictOf(2, [["a", "2,1"]]).disordered).toBe(1);
    expect(verdictOf(3, [["a", "1,3"]]).disordered).toBe(1);
    expect(verdictOf(2, [["a", ""]]).disordered).toBe(1);
  });

  it("finds replies that came in the wrong order", () => {
    expect(
      verdictOf(2, [
        ["b", "1,2"],
        ["a", "1"],
      ]),
    ).toMatchObject({ lost: 0, disordered: 1 });
  });

  it("finds a second reply to the same, but not the same reply placed again under its id", () => {
    expect(
      verdictOf(1, [
        ["a", "1"],
        ["b", "1"],
      ]).doubled,
    ).toBe(1);
    expect(
      isClean(
        verdictOf(1, [
          ["a", "1"],
          ["a", "1"],
        ]),
      ),
    ).toBe(true);
  });
});
