/**
 * How many random sequences the tests of this folder run, all together: 2,000, or as many as PARLEY_TEST_SEQUENCES says.
 * docs/reliability.md says what they are for.
 */
const wanted = Number(process.env.PARLEY_TEST_SEQUENCES ?? "2000");
if (!Number.isInteger(wanted) || wanted < 100)
  throw new Error("PARLEY_TEST_SEQUENCES must be a whole number of at least 100");

/** A share of them, and the time that so many may take. */
export function sequences(share: number): { numRuns: number; timeoutMs: number } {
  const numRuns = Math.round(wanted * share);
  return { numRuns, timeoutMs: 60_000 + numRuns * 150 };
}
