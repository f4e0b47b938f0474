import { expect, it } from "vitest";
import { parley } from "./parley.ts";

it("runs the cases of one agent with the offline stand-in, and names it as that", async () => {
  const { code, out, err } = await parley(["eval", "deploybot"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^deploybot {2}(\d+) of \1 passed, by the offline stand-in/);
  expect(out).not.toContain("support");
}, 120_000);

it("names the agents there are when it does not know one", async () => {
  expect(await parley(["eval", "nobody"])).toMatchObject({
    code: 2,
    err: 'There is no agent "nobody". There are: deploybot, support.\n',
  });
});
