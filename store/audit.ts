/**
 * Whether the audit log is whole. Each row holds the hash of the one before it, so a changed, missing or inserted row shows
 * as the first one that does not follow. Rows cut off at the end do not show: compare `lastHash` with one kept elsewhere.
 */
import { z } from "zod";
import type { Database } from "./postgres.ts";

export type AuditReport =
  | { whole: true; rows: number; lastHash: string | null }
  /** The first row that does not follow from the one before it. */
  | { whole: false; rows: number; brokenAt: number };

const reportRow = z.object({
  rows: z.number(),
  broken_at: z.number().nullable(),
  last_hash: z.string().nullable(),
});

/** Reads the whole log, in one statement. Changes nothing. */
export async function verifyAudit(database: Database): Promise<AuditReport> {
  const found = await database.run({
    text: `
select count(*)::int as rows,
       (min(id) filter (where id <> coalesce(id_before, 0) + 1
          or hash <> audit_hash(hash_before, id, at, action, subject, actor, content_hash)))::float8 as broken_at,
       (array_agg(hash order by id desc))[1] as last_hash
  from (select *, lag(id) over chain as id_before, lag(hash) over chain as hash_before
          from audit window chain as (order by id)) linked`,
  });
  const { rows, broken_at: brokenAt, last_hash: lastHash } = reportRow.parse(found[0]);
  return brokenAt === null ? { whole: true, rows, lastHash } : { whole: false, rows, brokenAt };
}
