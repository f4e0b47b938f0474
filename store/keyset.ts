/** Keyset pages: a page starts behind a row's own place, so inserts while somebody reads neither repeat nor hide rows. */

/** Where a page ends: a time to the microsecond, which is how exactly Postgres keeps it, and an id. */
export interface Place {
  at: string;
  id: string;
}

/** A timestamp as ISO 8601 in UTC. */
export const isoColumn = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The same with microseconds: what a place needs. */
export const exactColumn = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export interface Slice<T> {
  items: T[];
  /** Null on the last page. */
  next: Place | null;
}

/** Cuts a page out of `limit + 1` rows: the row too many only tells that there is more. */
export function sliceOf<R, T>(
  rows: readonly R[],
  limit: number,
  read: { item(row: R): T; place(row: R): Place },
): Slice<T> {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  return {
    items: kept.map(read.item),
    next: rows.length > limit && last !== undefined ? read.place(last) : null,
  };
}
