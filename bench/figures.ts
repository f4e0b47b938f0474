/** What a benchmark gives, and how it is shown. */

export interface Figures {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

export interface Result {
  name: string;
  unit: string;
  rows: Record<string, Figures>;
  goals: { goal: string; met: boolean }[];
}

export function figuresOf(values: readonly number[]): Figures {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: round(sorted.at(-1) ?? 0) };
}

const round = (value: number): number => Math.round(value * 100) / 100;

export function table({ name, unit, rows, goals }: Result): string {
  const width = Math.max(...Object.keys(rows).map((row) => row.length));
  const cells = (values: (string | number)[]): string =>
    values.map((value) => String(value).padStart(9)).join("");
  return [
    `\n${name} (${unit})`,
    `${"".padEnd(width)}${cells(["count", "p50", "p90", "p99", "max"])}`,
    ...Object.entries(rows).map(
      ([row, { count, p50, p90, p99, max }]) => `${row.padEnd(width)}${cells([count, p50, p90, p99, max])}`,
    ),
    ...goals.map(({ goal, met }) => `${met ? "met   " : "MISSED"}  ${goal}`),
  ].join("\n");
}
