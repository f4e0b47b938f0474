import { describe, expect, it } from "vitest";
import { editableJson, visibleParts, visibleText } from "../../console/src/visible-text.ts";
import { visibleText as coreVisibleText } from "../../core/approval.ts";

const lastCodePoint = 0x10ffff;

function differingCodePoints(differs: (character: string) => boolean): string[] {
  const found: string[] = [];
  for (let point = 0; point <= lastCodePoint; point++) {
    if (differs(String.fromCodePoint(point))) found.push(point.toString(16));
  }
  return found;
}

describe("visible text in the console", () => {
  it("agrees with the server's own function on every code point", () => {
    expect(differingCodePoints((character) => visibleText(character) !== coreVisibleText(character))).toEqual(
      [],
    );
  });

  it("hides something to make visible: the comparison is not of two functions that do nothing", () => {
    expect(visibleText("a\u202Eb\u200B\n")).toBe("a\\u{202e}b\\u{200b}\\n");
  });

  it("comes in parts that join to the same text, with every escape marked", () => {
    const text = "deploy \u202Eexe.txt\u200B\nnow";
    const parts = visibleParts(text);

    expect(parts.map((part) => part.text).join("")).toBe(visibleText(text));
    expect(parts.filter((part) => part.escape).map((part) => part.text)).toEqual([
      "\\u{202e}",
      "\\u{200b}",
      "\\n",
    ]);
  });

  it("is JSON for the editor that shows hidden characters and parses to the same value", () => {
    const value = { note: "a\u202Eb\u{E0101}\n", list: [1, "\u200B"], "k\u2066": null };
    const text = editableJson(value);

    expect(JSON.parse(text)).toEqual(value);
    expect(text.split("\n").every((line) => visibleText(line).replaceAll("\\\\", "\\") === line)).toBe(true);
  });
});
