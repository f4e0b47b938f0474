import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PartialReply } from "../../../agents/model/partial-reply.ts";

const pushAll = (pieces: Iterable<string>): string[] => {
  const reply = new PartialReply();
  return [...pieces].flatMap((piece) => reply.push(piece) ?? []);
};
const units = (text: string): string[] => text.split("");

describe("the growing text of a reply", () => {
  it("is read character by character, with every escape decoded", () => {
    const json = String.raw`{"step":{"intent":"reply","reasoning":"r","confidence":0.5,"text":"\"\\\/\b\f\n\r\té\ud83d\ude00!"}}`;
    expect(pushAll(units(json)).at(-1)).toBe('"\\/\b\f\n\r\té😀!');
  });

  it("never holds half an escape or half a surrogate pair", () => {
    const json = String.raw`{"intent":"reply","text":"a\n\u00e9\ud83d\ude00😀z"}`;
    const shown = pushAll(units(json));
    expect(shown).toEqual(["a", "a\n", "a\né", "a\né😀", "a\né😀😀", "a\né😀😀z"]);
  });

  it("replaces a surrogate that is alone", () => {
    expect(pushAll([String.raw`{"intent":"reply","text":"\ud83dx\ude00y"}`]).at(-1)).toBe("\ufffdx\ufffdy");
  });

  it("is held back until the intent is known", () => {
    expect(pushAll(['{"text":"Hello",', '"intent":"reply"}'])).toEqual(["Hello"]);
  });

  it.each([
    ["of another intent", { step: { intent: "finish", text: "bye" } }],
    ["in a tool's arguments", { step: { intent: "reply", args: { text: "no" } } }],
    ["in a list", { step: [{ intent: "reply", text: "no" }] }],
    ["below another member", { other: { intent: "reply", text: "no" } }],
    ["as a key or a value", { step: { intent: "reply", a: "text", b: "no", text: 7 } }],
  ])("is silent about a text %s", (_, value) => {
    expect(pushAll(units(JSON.stringify(value)))).toEqual([]);
  });

  it("falls silent at what is not JSON", () => {
    expect(pushAll(['{"intent":"reply","text":"ok', String.raw`\uZZZZ`, "more"])).toEqual(["ok"]);
    expect(pushAll(["[".repeat(5_000), '{"intent":"reply","text":"x"}'])).toEqual([]);
  });

  it("is a growing prefix of the text, however the JSON is cut", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1 });
    const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 });
    fc.assert(
      fc.property(text, fc.string(), cuts, fc.boolean(), (reply, reasoning, sizes, wrapped) => {
        const step = { intent: "reply", reasoning, confidence: 1, args: [{ text: "no" }], text: reply };
        const json = JSON.stringify(wrapped ? { step } : step);
        const pieces: string[] = [];
        for (let start = 0, index = 0; start < json.length; index++) {
          const end = start + sizes[index % sizes.length]!;
          pieces.push(json.slice(start, end));
          start = end;
        }
        const shown = pushAll(pieces);
        expect(shown.at(-1)).toBe(reply);
        for (const partial of shown) expect(reply.startsWith(partial) && partial.isWellFormed()).toBe(true);
      }),
    );
  });

  it("throws at nothing", () => {
    fc.assert(fc.property(fc.array(fc.string()), (pieces) => void pushAll(pieces)));
  });
});
