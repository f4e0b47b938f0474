import { describe, expect, it } from "vitest";
import { readExtension, readYesNo } from "../../core/plain-answers.ts";

describe("a plain yes or no", () => {
  it.each([
    "yes",
    "Yes.",
    " YES! ",
    "y",
    "yes, it did",
    "It happened",
    "ja",
    "oui",
    "sí",
    "si\u0301",
    "tak",
    "да",
  ])("reads %j as yes", (text) => {
    expect(readYesNo(text)).toBe(true);
  });

  it.each(["no", "No.", "n", "no, it did not", "It did not happen.", "nein", "non", "нет"])(
    "reads %j as no",
    (text) => {
      expect(readYesNo(text)).toBe(false);
    },
  );

  it.each([
    "",
    "maybe",
    "yes but not now",
    "yes?",
    "yes no",
    "no idea",
    "not yes",
    "I think yes",
    "ok",
    "👍",
    "> yes",
  ])("does not guess at %j", (text) => {
    expect(readYesNo(text)).toBeNull();
  });
});

describe("an extension", () => {
  it.each([
    ["extend", 1],
    [" Extend. ", 1],
    ["EXTEND 2", 2],
    ["extend 10!", 10],
  ])("reads %j as %i times", (text, times) => {
    expect(readExtension(text)).toBe(times);
  });

  it.each([
    "",
    "extend 0",
    "extend 11",
    "extend -1",
    "extend 1.5",
    "extend 100",
    "extend it",
    "please extend",
    "do not extend",
    "extend2",
    "extend 2 3",
  ])("does not guess at %j", (text) => {
    expect(readExtension(text)).toBeNull();
  });
});
