/** What a benchmark gives, and how it is shown. */

/** A goal of the program's function is never a matter of how busy the machine is; one of time is. */
export interface Goal {
  goal: string;
  met: boolean;
  kind: "function" | "time";
}

export interface Result {
  name: string;
  columns: string[];
  rows: Record<string, (number | string)[]>;
  goals: Goal[];
  notes?: string[];
}

/** Says how far long work has come, on a terminal. */
export type Tell = (line: string) => void;

export interface Spread {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

export const spreadColumns = ["count", "p50", "p90", "p99", "max"];

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

export const cellsOf = ({ count, p50, p90, p99, max }: Spread): number[] => [count, p50, p90, p99, max];

export const median = (values: readonly number[]): number => spreadOf(values).p50;

export const timeGoal = (goal: string, met: boolean): Goal => ({ goal, met, kind: "time" });
export const functionGoal = (goal: string, met: boolean): Goal => ({ goal, met, kind: "function" });

const shown = (value: number | string): string => {
  if (typeof value === "string") return value;
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2);
};

export function table({ name, columns, rows, goals, notes = [] }: Result): string {
  const labelWidth = Math.max(...Object.keys(rows).map((label) => label.length));
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...Object.values(rows).map((row) => shown(row[at] ?? "").length)),
  );
  const line = (label: string, cells: (number | string)[]): string =>
    [label.padEnd(labelWidth), ...cells.map((cell, at) => shown(cell).padStart(widths[at] ?? 0))].join("  ");
  return [
    `\n${name}`,
    line("", columns),
    ...Object.entries(rows).map(([label, row]) => line(label, row)),
    ...notes.map((note) => `note    ${note}`),
    ...goals.map(({ goal, met, kind }) => `${met ? "met   " : "MISSED"}  ${goal} (${kind})`),
  ].join("\n");
}
