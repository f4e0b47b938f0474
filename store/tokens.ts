/**
 * API tokens and console sessions. Only SHA-256 hashes are stored: a token is shown once, and a copy of the database signs
 * nobody in. The secrets hold 256 random bits, so a fast hash is enough. A session lives as long as its token at most.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { RefusedError } from "../core/errors.ts";
import type { Ids } from "../core/ports.ts";
import { isoColumn } from "./keyset.ts";
import type { Database, Row } from "./postgres.ts";

/** Whoever presented a token or a session. */
export interface TokenOwner {
  tokenId: string;
  name: string;
  person: string;
  scopes: string[];
}

export interface SessionOwner extends TokenOwner {
  csrfToken: string;
}

export interface StoredToken extends TokenOwner {
  createdAt: string;
  expiresAt: string | null;
}

export interface Tokens {
  /** Null for a token that is unknown, expired or revoked. */
  find(secret: string): Promise<TokenOwner | null>;
  /** The secret is in this answer and nowhere else. */
  create(token: {
    name: string;
    person: string;
    scopes: readonly string[];
    expiresAt: string | null;
  }): Promise<{ secret: string; token: StoredToken }>;
  /** Live ones, newest first. `before` is the creation time and id of the last one seen. */
  list(page: { before: { at: string; id: string } | null; limit: number }): Promise<StoredToken[]>;
  /** Its sessions end with it. False when there is no such live token. The admin token is refused: replace it instead. */
  revoke(tokenId: string): Promise<boolean>;
  /**
   * Makes sure that there is an admin token. A configured one replaces what was there, and ends its sessions. Without one the
   * first call makes one and gives it back; later calls, on whatever process, give null. `replace` makes a new one anyway.
   */
  ensureAdminToken(options: { configured?: string; replace?: boolean }): Promise<string | null>;
  /** Null when the token is not valid. The secret of the session goes into a cookie. */
  openSession(tokenSecret: string): Promise<{ secret: string; owner: SessionOwner } | null>;
  /** Prolongs it to 12 h from now, within 7 days of its start. Null when it is over. */
  findSession(secret: string): Promise<SessionOwner | null>;
  /** Safe to repeat. */
  closeSession(secret: string): Promise<void>;
}

export const adminTokenId = "00000000-0000-7000-8000-000000000001";
const adminPerson = "admin";

const live = "t.revoked_at is null and (t.expires_at is null or t.expires_at > now())";

const ownerRow = z.object({
  id: z.string(),
  hash: z.string(),
  name: z.string(),
  person: z.string(),
  scopes: z.array(z.string()),
});
const sessionRow = ownerRow.extend({ csrf_token: z.string() });
const tokenRow = ownerRow.omit({ hash: true }).extend({
  created: z.string(),
  expires: z.string().nullable(),
});

const tokenColumns = `t.id, t.name, t.person, t.scopes, ${isoColumn("t.created_at")} as created,
  ${isoColumn("t.expires_at")} as expires`;

export function tokens(database: Database, ids: Ids): Tokens {
  const newSecret = (prefix: string): string =>
    `${prefix}_${Buffer.from(ids.randomBytes(32)).toString("base64url")}`;

  const find = async (secret: string): Promise<TokenOwner | null> => {
    const rows = await database.run({
      name: "token_find",
      text: `select id, hash, name, person, scopes from tokens t where hash = $1 and ${live}`,
      values: [hashOf(secret)],
    });
    return rows[0] === undefined ? null : ownerOf(ownerRow.parse(rows[0]), secret);
  };

  return {
    find,

    async create({ name, person, scopes, expiresAt }) {
      const secret = newSecret("parley");
      const rows = await database.run({
        text: `insert into tokens as t (id, hash, name, person, scopes, expires_at) values ($1, $2, $3, $4, $5, $6)
               returning ${tokenColumns}`,
        values: [ids.next(), hashOf(secret), name, person, scopes, expiresAt],
      });
      return { secret, token: storedToken(rows[0]) };
    },

    async list({ before, limit }) {
      const rows = await database.run({
        name: "token_list",
        text: `select ${tokenColumns} from tokens t
                where ${live} and ($1::timestamptz is null or (date_trunc('milliseconds', t.created_at), t.id) < ($1, $2::uuid))
                order by date_trunc('milliseconds', t.created_at) desc, t.id desc limit $3`,
        values: [before?.at ?? null, before?.id ?? null, limit],
      });
      return rows.map(storedToken);
    },

    async revoke(tokenId) {
      if (tokenId === adminTokenId) {
        throw new RefusedError(
          "conflict",
          "The admin token cannot be revoked; set PARLEY_ADMIN_TOKEN to replace it.",
          {
            operation: "revoke token",
          },
        );
      }
      return (await database.run({ text: revokeText, values: [tokenId] })).length > 0;
    },

    async ensureAdminToken({ configured, replace }) {
      if (configured !== undefined) {
        await database.run({
          text: replaceAdminText,
          values: [adminTokenId, hashOf(configured), adminPerson],
        });
        return configured;
      }
      const secret = newSecret("parley");
      const text = replace ? replaceAdminText : makeAdminText;
      const rows = await database.run({ text, values: [adminTokenId, hashOf(secret), adminPerson] });
      return rows.length > 0 ? secret : null;
    },

    async openSession(tokenSecret) {
      const token = await find(tokenSecret);
      if (token === null) return null;
      const secret = newSecret("session");
      const csrfToken = newSecret("csrf");
      await database.run({ text: openText, values: [hashOf(secret), token.tokenId, csrfToken] });
      return { secret, owner: { ...token, csrfToken } };
    },

    async findSession(secret) {
      const rows = await database.run({ name: "session_find", text: findText, values: [hashOf(secret)] });
      if (rows[0] === undefined) return null;
      const row = sessionRow.parse(rows[0]);
      const owner = ownerOf(row, secret);
      return owner === null ? null : { ...owner, csrfToken: row.csrf_token };
    },

    async closeSession(secret) {
      await database.run({ text: "delete from sessions where hash = $1", values: [hashOf(secret)] });
    },
  };
}

/** Sessions that are over go whenever somebody signs in: the table stays small without a job of its own. */
const openText = `
with gone as (delete from sessions where expires_at < now())
insert into sessions (hash, token_id, csrf_token, expires_at) values ($1, $2, $3, now() + interval '12 hours')`;

/** Written at most every half hour for each session, so that reading stays reading. */
const findText = `
with found as (
  select s.hash, s.csrf_token, t.id, t.name, t.person, t.scopes
    from sessions s join tokens t on t.id = s.token_id
   where s.hash = $1 and s.expires_at > now() and s.created_at > now() - interval '7 days' and ${live}
), prolonged as (
  update sessions s
     set expires_at = least(now() + interval '12 hours', s.created_at + interval '7 days')
    from found
   where s.hash = found.hash and s.expires_at < now() + interval '11 hours 30 minutes'
     and s.expires_at < s.created_at + interval '7 days'
)
select * from found`;

const revokeText = `
with revoked as (
  update tokens set revoked_at = now() where id = $1 and revoked_at is null returning id
), ended as (
  delete from sessions where token_id in (select id from revoked)
)
select id from revoked`;

const makeAdminText = `
insert into tokens (id, hash, name, person, scopes) values ($1, $2, 'admin token', $3, '{admin}')
on conflict (id) do nothing returning id`;

const replaceAdminText = `
with ended as (
  delete from sessions where token_id = $1 and not exists (select 1 from tokens where id = $1 and hash = $2)
)
insert into tokens (id, hash, name, person, scopes) values ($1, $2, 'admin token', $3, '{admin}')
on conflict (id) do update set hash = excluded.hash, revoked_at = null returning id`;

const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("hex");

/** The index found the row by its hash; comparing once more in constant time leaves nothing to the index's timing. */
function ownerOf(row: z.infer<typeof ownerRow>, secret: string): TokenOwner | null {
  if (!timingSafeEqual(Buffer.from(row.hash), Buffer.from(hashOf(secret)))) return null;
  return { tokenId: row.id, name: row.name, person: row.person, scopes: row.scopes };
}

function storedToken(row: Row | undefined): StoredToken {
  const { id, created, expires, ...rest } = tokenRow.parse(row);
  return { tokenId: id, ...rest, createdAt: created, expiresAt: expires };
}
