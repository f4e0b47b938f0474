/** What somebody who mistyped a tag probably meant. Pure. */

const maxCompared = 500;

/** The known tags that take the fewest changes to become `wanted`; among equals the order of `known` stays. */
export function nearestTags(wanted: string, known: readonly string[], count = 3): string[] {
  return known
    .slice(0, maxCompared)
    .map((tag) => ({ tag, distance: editDistance(bare(wanted), bare(tag)) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ tag }) => tag);
}

/** People leave the `v` out more often than they mean another tag. */
const bare = (tag: string): string => tag.toLowerCase().replace(/^v(?=\d)/, "");

/** Levenshtein's distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
