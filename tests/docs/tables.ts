/** Reads the tables of a Markdown page. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./sources.ts";

/** A row by the names of its columns. */
export type Row = Record<string, string>;

/**
 * All rows of all tables below a heading, up to the next heading of its level or above.
 * @param heading as it stands in the page, with its number signs.
 */
export function tableRows(path: string, heading: string): Row[] {
  const lines = readFileSync(join(root, path), "utf8").split("\n");
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`${path} has no heading "${heading}"`);
  const level = heading.indexOf(" ");
  const next = lines.findIndex((line, at) => at > from && /^#+ /.test(line) && line.indexOf(" ") <= level);
  return rowsIn(lines.slice(from, next < 0 ? undefined : next));
}

function rowsIn(lines: readonly string[]): Row[] {
  const rows: Row[] = [];
  let columns: string[] | null = null;
  for (const line of lines) {
    if (!line.startsWith("|")) columns = null;
    else if (columns === null) columns = cellsOf(line);
    else if (!/^\|[-:| ]+\|$/.test(line)) rows.push(rowOf(columns, cellsOf(line)));
  }
  return rows;
}

const cellsOf = (line: string): string[] =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

const rowOf = (columns: readonly string[], cells: readonly string[]): Row =>
  Object.fromEntries(columns.map((name, at) => [name, cells[at] ?? ""]));

/** The words in backticks. */
export const codes = (cell: string | undefined): string[] =>
  [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? "");

export const code = (cell: string | undefined): string => codes(cell)[0] ?? "";
