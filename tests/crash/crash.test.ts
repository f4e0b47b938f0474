/** A short form of `npm run crash`: some stories on both queues, and some planted bugs, which have to be caught. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { redisServer } from "../support/redis.ts";
import { describeWith } from "../support/suite.ts";
import { bugs } from "./bugs/index.ts";
import { catchAll, playAll, vacuity } from "./campaign.ts";
import { type Lane, openLane } from "./lane.ts";
import { storyOf } from "./story.ts";

const bugNames = [
  "no_dedupe",
  "blind_resend",
  "once_runs_again",
  "edit_is_ignored",
  "every_decision_wins",
  "no_fence",
];

describeWith(redisServer, "the crash harness", () => {
  let lanes: Lane[] = [];
  beforeAll(async () => {
    lanes = await Promise.all([openLane("redis"), openLane("postgres")]);
  });
  afterAll(async () => {
    await Promise.all(lanes.map((lane) => lane.close()));
  });

  it("tells the same story for the same seed, and another one for another", () => {
    expect(storyOf(7)).toEqual(storyOf(7));
    expect(storyOf(7)).not.toEqual(storyOf(8));
  });

  it("finds every promise kept while processes, servers and connections are killed", {
    timeout: 120_000,
  }, async () => {
    const campaign = await playAll(lanes, { firstSeed: 1, runs: 24 }, () => {});
    const found = campaign.found.flatMap(({ seed, violations }) =>
      violations.map((each) => ({ seed, ...each })),
    );
    expect(found).toEqual([]);
    expect(vacuity(campaign)).toEqual([]);
  });

  it("catches planted bugs", { timeout: 120_000 }, async () => {
    const planted = bugs.filter(({ name }) => bugNames.includes(name));
    const caught = await catchAll(lanes, { bugs: planted, firstSeed: 1 }, () => {});
    expect(caught.map(({ name, caughtBy }) => [name, caughtBy !== null])).toEqual(
      expect.arrayContaining(bugNames.map((name) => [name, true])),
    );
  });
});
