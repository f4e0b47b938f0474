/** Makes the story of a violation smaller, as far as a few runs go: what can be left out and still shows it is left out. */
import type { Lane, RunResult } from "./lane.ts";
import type { Story } from "./words.ts";

const mostRuns = 14;

export async function shrink(lane: Lane, run: RunResult): Promise<Pick<RunResult, "story" | "history">> {
  const wanted = new Set(run.violations.map(({ check }) => check));
  let best: Pick<RunResult, "story" | "history"> = run;
  let runs = 0;
  for (let smaller = true; smaller && runs < mostRuns; ) {
    smaller = false;
    for (const candidate of smallerThan(best.story)) {
      if (runs >= mostRuns) break;
      runs += 1;
      const again = await lane.play(candidate);
      if (!again.violations.some(({ check }) => wanted.has(check))) continue;
      best = again;
      smaller = true;
      break;
    }
  }
  return { story: best.story, history: best.history };
}

/** Each of them lacks one thing, the largest first. */
function smallerThan(story: Story): Story[] {
  const { threads, faults } = story;
  const without = <T>(list: readonly T[], index: number): T[] => list.filter((_, at) => at !== index);
  const fewerThreads =
    threads.length > 1 ? threads.map((_, at) => ({ ...story, threads: without(threads, at) })) : [];
  const fewerFaults = faults.map((_, at) => ({ ...story, faults: without(faults, at) }));
  const fewerMessages = threads.flatMap((thread, place) =>
    thread.messages.length < 2
      ? []
      : thread.messages.map((_, at) => ({
          ...story,
          threads: threads.with(place, { ...thread, messages: without(thread.messages, at) }),
        })),
  );
  const single = threads.map((thread) => ({
    ...thread,
    messages: thread.messages.map((message) => ({ ...message, copies: 1 })),
  }));
  const copied = threads.some(({ messages }) => messages.some(({ copies }) => copies > 1));
  return [
    ...fewerThreads,
    ...fewerFaults,
    ...fewerMessages,
    ...(copied ? [{ ...story, threads: single }] : []),
  ];
}
