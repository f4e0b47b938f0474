import { describe, expect, it } from "vitest";
import { type AccessRule, type HeardKind, hears, matchesText } from "../../core/access.ts";
import type { Binding, Sender } from "../../core/words.ts";

const binding: Binding = { channel: "slack", account: "T1", room: "C1", anchor: "" };
const from = (kind: Sender["kind"], more: Partial<Sender> = {}): Sender => ({
  channel: "slack",
  account: "T1",
  identity: "U1",
  name: "Ann",
  kind,
  assurance: "signed",
  ...more,
});

const eventKinds: HeardKind[] = ["message", "edit", "command", "decision", "reaction"];
const channels = ["slack", "discord", "email", "sms", "web"];
const everything: AccessRule = { allow: true };
const nothing: AccessRule = { allow: false };

/** sender kind, heard without rules, heard when a rule admits everything, heard when a rule admits nothing */
const table: [Sender["kind"], boolean, boolean, boolean][] = [
  ["human", true, true, false],
  ["guest", false, true, false],
  ["external", false, true, false],
  ["bot", false, true, false],
  ["self", false, false, false],
  ["automatic", false, false, false],
];

describe.each(table)("a sender of kind %s", (kind, bare, opened, closed) => {
  it.each(channels.flatMap((channel) => eventKinds.map((eventKind) => [channel, eventKind] as const)))(
    "has the same outcome on %s for each kind of event: %s",
    (channel, eventKind) => {
      const sender = from(kind, { channel });
      const there = { ...binding, channel };
      const outcomes = [[], [everything], [nothing]].map(
        (rules) => hears(rules, eventKind, sender, there).allowed,
      );
      expect(outcomes).toEqual([bare, opened, closed]);
    },
  );
});

describe("rules", () => {
  it("are tried in order, and the first that matches decides", () => {
    const rules: AccessRule[] = [
      { room: "C9", allow: false },
      { kinds: ["guest"], allow: true },
    ];
    expect(hears(rules, "message", from("guest"), binding)).toEqual({ allowed: true });
    expect(hears(rules, "message", from("guest"), { ...binding, room: "C9" }).allowed).toBe(false);
    expect(hears(rules, "message", from("bot"), binding).allowed).toBe(false);
  });

  it.each<[string, AccessRule, boolean]>([
    ["another channel", { channel: "discord", allow: false }, true],
    ["this channel", { channel: "slack", allow: false }, false],
    ["another workspace", { account: "T2", allow: false }, true],
    ["this workspace", { account: "T1", allow: false }, false],
    ["the sender in any workspace", { senders: [id(null, "U1")], allow: false }, false],
    ["the sender in another workspace", { senders: [id("T2", "U1")], allow: false }, true],
    ["the person behind the sender", { senders: [{ person: "ann" }], allow: false }, false],
    ["somebody else", { senders: [id(null, "U2"), { person: "bob" }], allow: false }, true],
  ])("about %s", (_, rule, allowed) => {
    expect(hears([rule], "message", from("human", { person: "ann" }), binding).allowed).toBe(allowed);
  });

  it("never take an identity for a person of the same name", () => {
    const rules: AccessRule[] = [{ senders: [{ person: "ann" }], allow: true }, nothing];
    expect(hears(rules, "decision", from("human", { identity: "ann" }), binding).allowed).toBe(false);
  });

  it("give a refusal that can be shown", () => {
    const refusal = hears([], "command", from("external"), binding);
    expect(refusal).toEqual({
      allowed: false,
      reason: "This Parley does not admit a command from an outside account here.",
    });
  });
});

it.each([
  ["*@example.com", "Ann@Example.com", true],
  ["*@example.com", "ann@example.com.evil.org", false],
  ["ann@*", "ann@x", true],
  ["a*b*c", "a1b2c", true],
  ["a*b*c", "acb", false],
  ["aa*aa", "aaa", false],
  ["*", "", true],
  ["u1", "U1", true],
])("the pattern %s against %s gives %s", (pattern, text, expected) => {
  expect(matchesText(pattern, text)).toBe(expected);
});

function id(account: string | null, identity: string) {
  return { channel: "slack", account, identity };
}
