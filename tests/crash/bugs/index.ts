/** Every planted bug, by name. */
import type { Bug } from "./bug.ts";

export const bugs: readonly Bug[] = [];

export function bugNamed(name: string): Bug {
  const bug = bugs.find((each) => each.name === name);
  if (bug === undefined) throw new Error(`there is no planted bug "${name}"`);
  return bug;
}
