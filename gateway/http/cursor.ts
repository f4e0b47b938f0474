/** Cursors are opaque to callers: the place where a page ended, in base64url. */
import { z } from "zod";
import type { Place, Slice } from "../../store/keyset.ts";
import type { Page } from "../api.ts";
import { refuse } from "./problem.ts";

const placeSchema = z.tuple([z.iso.datetime(), z.uuid()]);
const seqSchema = z.tuple([z.number().int().min(0).max(2_147_483_647)]);

export const cursorOf = (parts: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(parts)).toString("base64url");

/** @throws {RefusedError} for what no page gave out. */
export function placeOf(cursor: string | undefined): Place | null {
  if (cursor === undefined) return null;
  const [at, id] = decode(placeSchema, cursor);
  return { at, id };
}

/** @throws {RefusedError} as above. */
export const seqOf = (cursor: string): number => decode(seqSchema, cursor)[0];

function decode<T>(schema: z.ZodType<T>, cursor: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString()));
  } catch {
    throw refuse("invalid", "The cursor is not one that this list gave out.");
  }
}

export function pageFrom<T, V>({ items, next }: Slice<T>, view: (item: T) => V): Page<V> {
  return { items: items.map(view), next: next === null ? null : cursorOf([next.at, next.id]) };
}
