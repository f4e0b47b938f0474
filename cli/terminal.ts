/**
 * What a command prints. Texts that come from people and agents are made harmless first: a terminal obeys control
 * characters, and a message must not be able to draw over what is asked for approval.
 */
import { styleText } from "node:util";
import { harmlessText, visibleJson, visibleText } from "../core/approval.ts";
import type { Json } from "../core/json.ts";

/** Colour only on a terminal, and not with NO_COLOR; Node decides both. */
type Style = "bold" | "dim" | "red" | "green" | "yellow";
export const paint = (style: Style, text: string): string =>
  styleText(style, text, { stream: process.stdout });

export const print = (text = ""): void => {
  process.stdout.write(`${text}\n`);
};

export const printError = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

/** A text of several lines, safe to print: its own line breaks stay, everything else that steers a terminal shows. */
export const safeLines = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => line.split("\t").map(harmlessText).join("\t"))
    .join("\n");

export interface Column<T> {
  title: string;
  of(row: T): string;
}

/** Columns as wide as their widest cell; the last one is not padded, so that long lines wrap in one place only. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cells = rows.map((row) => columns.map((column) => visibleText(column.of(row))));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join("  ");
  const titles = line(columns.map(({ title }) => title.toUpperCase()));
  return [paint("bold", titles), ...cells.map(line)].join("\n");
}

/** Names and values below each other. */
export function fields(pairs: readonly (readonly [string, string])[], indent = ""): string {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${indent}${paint("dim", name.padEnd(width))}  ${value}`).join("\n");
}

/** Every argument of a call, whole and exact: what is shown is what runs. */
export function argumentFields(args: { [name: string]: Json }, indent = ""): string {
  const pairs = Object.entries(args).map(([name, value]) => [visibleText(name), visibleJson(value)] as const);
  return pairs.length === 0 ? `${indent}(no arguments)` : fields(pairs, indent);
}

/** `2026-01-31 14:05:09` in the machine's own time zone. */
export function localTime(iso: string | null): string {
  if (iso === null) return "-";
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return visibleText(iso);
  return date.toLocaleString("sv-SE");
}
