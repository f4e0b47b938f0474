/** What is claimed of every sequence: that nothing in its journal is broken. */
import fc from "fast-check";
import { anyAnswers, everything, proposals, verdicts } from "./actors.ts";
import type { Promised } from "./journal.ts";
import { type Planted, play, schedulers, world } from "./world.ts";

export interface Stage {
  readonly commands: typeof everything;
  readonly answers: typeof anyAnswers;
}

export const threads: Stage = { commands: everything, answers: anyAnswers };
export const approvals: Stage = { commands: verdicts, answers: proposals };

export interface Judging {
  /** How often what happened, over all sequences. */
  totals?: Map<string, number>;
  planted?: Planted;
  /** The only promises that count; all of them by default. */
  only?: readonly Promised[];
}

export const property = ({ commands, answers }: Stage, { totals, planted, only }: Judging = {}) =>
  fc.asyncProperty(schedulers, answers, commands, async (scheduler, says, all) => {
    const { journal } = await play(world(scheduler, says, planted), all);
    for (const [what, n] of journal.counts) totals?.set(what, (totals.get(what) ?? 0) + n);
    const broken = journal.violations.filter(({ promise }) => only === undefined || only.includes(promise));
    if (broken.length === 0) return;
    throw new Error(broken.map(({ promise, what }) => `${promise}: ${what}`).join("\n"));
  });
