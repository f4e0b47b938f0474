import { expect, it } from "vitest";
import { type RouteMatch, routeThread } from "../../core/routing.ts";

const facts = {
  binding: { channel: "slack", account: "T1", room: "C-deploys", anchor: "" },
  sender: {
    channel: "slack",
    account: "T1",
    identity: "U1",
    name: "Ann",
    kind: "human" as const,
    assurance: "signed" as const,
    person: "ann",
  },
  text: "/Refund order 1042, please: it's für Jürgen",
};
const taken = (match: RouteMatch) =>
  routeThread({ rules: [{ match, agent: "special" }], default: "usual" }, facts) === "special";

it.each<[string, RouteMatch, boolean]>([
  ["everything", {}, true],
  ["the channel", { channel: ["email", "slack"] }, true],
  ["another channel", { channel: ["email"] }, false],
  ["the room by a pattern", { room: ["C-*"] }, true],
  ["another room", { room: ["C-general"] }, false],
  ["the person", { sender: [{ person: "ann" }] }, true],
  ["another identity", { sender: [{ channel: "slack", account: null, identity: "U2" }] }, false],
  ["a word in the text", { keyword: ["ORDER"] }, true],
  ["a part of a word", { keyword: ["ord"] }, false],
  ["a phrase over punctuation", { keyword: ["1042 please"] }, true],
  ["a word with an umlaut", { keyword: ["jürgen"] }, true],
  ["the command without its slash", { command: ["refund"] }, true],
  ["a command that is not the first word", { command: ["order"] }, false],
  ["all conditions at once", { channel: ["slack"], keyword: ["refund"] }, true],
  ["conditions of which one fails", { channel: ["slack"], keyword: ["deploy"] }, false],
])("a rule for %s", (_, match, expected) => {
  expect(taken(match)).toBe(expected);
});

it("takes the first rule that matches, in order", () => {
  const rules = [
    { match: { keyword: ["deploy"] }, agent: "a" },
    { match: { keyword: ["refund"] }, agent: "b" },
    { match: { command: ["refund"] }, agent: "c" },
  ];
  expect(routeThread({ rules, default: "d" }, facts)).toBe("b");
});

it("falls back to the default when no rule matches", () => {
  expect(routeThread({ rules: [], default: "d" }, facts)).toBe("d");
});
