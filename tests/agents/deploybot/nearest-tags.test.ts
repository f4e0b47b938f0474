import { expect, it } from "vitest";
import { nearestTags } from "../../../agents/deploybot/nearest-tags.ts";

const known = ["v1.4.2", "v1.4.1", "v1.4.0", "v1.3.1", "v1.2.0"];

it("names the tags that take the fewest changes first", () => {
  expect(nearestTags("v1.3.0", known)).toEqual(["v1.4.0", "v1.3.1", "v1.2.0"]);
});

it("takes a forgotten v for no difference", () => {
  expect(nearestTags("1.4.1", known, 1)).toEqual(["v1.4.1"]);
});
