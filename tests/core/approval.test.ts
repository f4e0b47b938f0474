import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  actionDigest,
  approvalCode,
  mayDecide,
  type Policy,
  policySchema,
  policyVersion,
  type StoredAction,
  visibleJson,
  visibleText,
} from "../../core/approval.ts";
import { assuranceLevels, type Sender } from "../../core/words.ts";
import { sender } from "../support/arbitraries.ts";

const policy = (more: Partial<Policy> = {}): Policy => policySchema.parse({ name: "p", ...more });
const may = (
  rules: Partial<Policy>,
  who: Partial<Sender> = {},
  more: { roles?: string[]; requesters?: string[]; escalated?: boolean } = {},
) =>
  mayDecide(
    policy(rules),
    { sender: sender("ann", who), roles: more.roles ?? [] },
    more.requesters ?? [],
    more.escalated ?? false,
  ).allowed;

describe("who may decide", () => {
  it.each(["guest", "external", "bot", "self", "automatic"] as const)(
    "is never a sender of the kind %s",
    (kind) => {
      expect(may({}, { kind })).toBe(false);
      expect(may({ people: ["ann"] }, { kind }, { roles: ["ops"] })).toBe(false);
    },
  );

  it("is nobody whose person is not known", () => {
    const stranger = JSON.parse(JSON.stringify(sender("x", { person: undefined as never }))) as Sender;
    expect(mayDecide(policy(), { sender: stranger, roles: ["ops"] }, [], false).allowed).toBe(false);
  });

  it.each([
    ["anybody, when the policy names nobody", {}, {}, true],
    ["a person it names", { people: ["ann"] }, {}, true],
    ["no other person", { people: ["bob"] }, {}, false],
    ["somebody with a role it names", { roles: ["ops"] }, { roles: ["ops"] }, true],
    ["nobody with another role", { roles: ["ops"] }, { roles: ["dev"] }, false],
    ["a named person without the role", { people: ["ann"], roles: ["ops"] }, {}, true],
    ["the requester", {}, { requesters: ["ann"] }, true],
    [
      "not the requester where the policy says so",
      { notRequester: true },
      { requesters: ["bob", "ann"] },
      false,
    ],
    [
      "not the requester, even when named",
      { notRequester: true, people: ["ann"] },
      { requesters: ["ann"] },
      false,
    ],
    [
      "not who asked before their identity was linked",
      { notRequester: true },
      { requesters: ["web:ann"] },
      false,
    ],
    ["somebody else than the requester", { notRequester: true }, { requesters: ["bob"] }, true],
    [
      "no role of the escalation before it",
      { roles: ["ops"], escalateTo: ["cto"] },
      { roles: ["cto"] },
      false,
    ],
    [
      "a role of the escalation after it",
      { roles: ["ops"], escalateTo: ["cto"] },
      { roles: ["cto"], escalated: true },
      true,
    ],
    [
      "the first roles even after it",
      { roles: ["ops"], escalateTo: ["cto"] },
      { roles: ["ops"], escalated: true },
      true,
    ],
  ] as const)("is %s", (_, rules, more, allowed) => {
    expect(may(rules as unknown as Partial<Policy>, {}, more as never)).toBe(allowed);
  });

  it("has at least the assurance that the policy asks for", () => {
    for (const [have, assurance] of assuranceLevels.entries()) {
      for (const [need, minimumAssurance] of assuranceLevels.entries()) {
        expect(may({ minimumAssurance }, { assurance })).toBe(have <= need);
      }
    }
    expect(assuranceLevels).toEqual(["session", "signed", "authenticated", "weak"]);
  });
});

const action: StoredAction = {
  tool: "deploy",
  args: { tag: "v1", dry: false },
  agent: "deploybot",
  threadId: "t",
  callId: "c",
  requesters: ["ann"],
  policyVersion: "1",
  expiresAt: null,
};

describe("the digest", () => {
  it("changes with every member of the action", () => {
    const changed: StoredAction[] = [
      { ...action, tool: "rollback" },
      { ...action, args: { tag: "v1", dry: true } },
      { ...action, args: { tag: "v1" } },
      { ...action, agent: "support" },
      { ...action, threadId: "u" },
      { ...action, callId: "d" },
      { ...action, requesters: [] },
      { ...action, requesters: ["ann", "bob"] },
      { ...action, policyVersion: "2" },
      { ...action, expiresAt: "2030-01-01T00:00:00.000Z" },
    ];
    const digests = [action, ...changed].map(actionDigest);

    expect(new Set(digests).size).toBe(digests.length);
    expect(digests.every((digest) => /^[0-9a-f]{64}$/.test(digest))).toBe(true);
    const members = Object.keys(action);
    const varied = changed.flatMap((other) =>
      members.filter(
        (key) =>
          JSON.stringify(other[key as keyof StoredAction]) !==
          JSON.stringify(action[key as keyof StoredAction]),
      ),
    );
    expect([...new Set(varied)].sort()).toEqual(members.sort());
  });

  it("does not depend on the order in which members were written", () => {
    expect(
      actionDigest(Object.fromEntries(Object.entries(action).reverse()) as unknown as StoredAction),
    ).toBe(actionDigest(action));
  });

  it("of a policy agrees where the rules do", () => {
    expect(policyVersion(policy({ quorum: 2 }))).toBe(
      policyVersion(policySchema.parse({ quorum: 2, name: "p" })),
    );
    expect(policyVersion(policy({ quorum: 2 }))).not.toBe(policyVersion(policy()));
  });
});

describe("visible text", () => {
  /** Reads the escapes back: possible only if no two texts look the same. */
  const readBack = (shown: string): string =>
    shown.replace(/\\(?:u\{([0-9a-f]+)\}|([nrt\\]))/gu, (_, hex: string | undefined, short: string) =>
      hex !== undefined
        ? String.fromCodePoint(Number.parseInt(hex, 16))
        : ({ n: "\n", r: "\r", t: "\t", "\\": "\\" }[short] ?? ""),
    );

  it("tells a typed backslash and n from a line break", () => {
    expect(visibleText("a\nb")).toBe("a\\nb");
    expect(visibleText("a\\nb")).toBe("a\\\\nb");
  });

  it("shows no two texts alike, and cuts nothing", () => {
    const tricky = fc.constantFrom(
      "\\",
      "n",
      "r",
      "t",
      "u",
      "{",
      "}",
      "0",
      "a",
      "\n",
      "\r",
      "\t",
      "\u202e",
      "\u200b",
      "\u00a0",
      " ",
      "\ud800",
    );
    const texts = fc.oneof(
      fc.array(tricky, { maxLength: 12 }).map((parts) => parts.join("")),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(readBack(visibleText(text))).toBe(text);
      }),
      { numRuns: 3_000 },
    );
  });

  it("leaves no character that hides, reorders, breaks or looks like a space, of all there are", () => {
    const unseen =
      /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Variation_Selector}]|(?! )\p{White_Space}/u;
    const blanks = new Set([0x2800, 0x115f, 0x1160, 0x3164, 0xffa0]);
    const wrong: string[] = [];
    for (let point = 0; point <= 0x10ffff; point++) {
      const character = String.fromCodePoint(point);
      const shown = visibleText(character);
      const mustShow = unseen.test(character) || blanks.has(point) || character === "\\";
      if (mustShow === (shown === character)) wrong.push(point.toString(16));
    }
    expect(wrong).toEqual([]);
  });
});

describe("an approval code", () => {
  it("has six characters without look-alikes, each as likely as any other", () => {
    const counts = new Map<string, number>();
    const samples = 30_000;
    const bytes = new Uint8Array(6);
    for (let n = 0; n < samples; n++) {
      crypto.getRandomValues(bytes);
      const code = approvalCode(bytes);
      expect(code).toMatch(/^[2-9A-HJKMNP-Z]{6}$/);
      for (const character of code) counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    const expected = (samples * 6) / 31;
    const chiSquare = [...counts.values()].reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
    expect(counts.size).toBe(31);
    // 30 degrees of freedom: above 80 once in half a million runs; a remainder of single bytes would give about 1,300.
    expect(chiSquare).toBeLessThan(80);
  });

  it("follows from the bytes alone", () => {
    expect(approvalCode(new Uint8Array(6))).toBe("222222");
    expect(approvalCode(Uint8Array.of(0, 0, 0, 0, 0, 30))).toBe("Z22222");
  });
});

describe("a value as visible JSON", () => {
  it("shows hidden characters as escapes and doubles no backslash that JSON has doubled already", () => {
    expect(visibleJson("a\u202eb")).toBe('"a\\u{202e}b"');
    expect(visibleJson("a\\nb")).toBe('"a\\\\nb"');
    expect(visibleJson({ path: "C:\\x" })).toBe('{"path":"C:\\\\x"}');
  });

  it("never shows two values alike", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (one, other) => {
        if (one !== other) expect(visibleJson(one)).not.toBe(visibleJson(other));
      }),
    );
    expect(visibleJson("\\u{202e}")).not.toBe(visibleJson("\u202e"));
  });
});
