/**
 * The articles in Postgres, kept equal to the folder, and the search over them. The table is a copy: a crash in the middle
 * leaves the former copy, and the next search brings it up to date.
 */
import { z } from "zod";
import type { AgentEnvironment } from "../agent.ts";
import { type ArticleFile, type Listing, listArticles, readArticle } from "./article-files.ts";

type Query = AgentEnvironment["query"];

const foundSchema = z.object({
  source: z.string(),
  title: z.string(),
  excerpt: z.string(),
  coverage: z.number(),
});
/** `coverage`: the share of the question's words that the article has, 0 to 1. */
export type FoundArticle = z.infer<typeof foundSchema>;

export interface Articles {
  /** The best first; empty when no article has any of the words. */
  search(question: string, limit: number): Promise<FoundArticle[]>;
  /** @throws {Error} with a plain sentence when there is no such article. */
  read(source: string): Promise<{ source: string; title: string; text: string }>;
}

const maxReadCharacters = 8_000;
/** The folder is looked at again at most this often. */
const lookAgainMs = 1_000;

/**
 * Brings the table up to date with the folder and returns the search.
 * @throws {Error} when the folder cannot be read; `problems` of the listing are handed to `refuse`.
 */
export async function openArticles(
  query: Query,
  { articles: folder, language }: { articles: string; language: string },
  refuse: (problems: string[]) => never,
): Promise<Articles> {
  const first = await listArticles(folder);
  if (first.problems.length > 0) refuse(first.problems);
  const state = { indexed: "", lookedAtMs: performance.now() };
  await synchronize(query, first, language);
  state.indexed = fingerprint(first.files);
  const refresh = async (): Promise<void> => {
    if (performance.now() - state.lookedAtMs < lookAgainMs) return;
    state.lookedAtMs = performance.now();
    const listing = await listArticles(folder);
    if (fingerprint(listing.files) === state.indexed) return;
    await synchronize(query, listing, language);
    state.indexed = fingerprint(listing.files);
  };
  return {
    async search(question, limit) {
      // Somebody may be saving files right now: the copy answers, and the next search looks again.
      await refresh().catch(() => {});
      return search(query, { question, limit, language });
    },
    async read(source) {
      const [row] = await query("select source, title, body from agent_support.articles where source = $1", [
        source,
      ]);
      if (row === undefined) throw new Error(`There is no article ${source}. Search again.`);
      const { title, body } = z.object({ title: z.string(), body: z.string() }).parse(row);
      return { source, title, text: body.slice(0, maxReadCharacters) };
    },
  };
}

const fingerprint = (files: readonly ArticleFile[]): string =>
  files.map(({ source, mtimeMs, sizeBytes }) => `${source}:${mtimeMs}:${sizeBytes}`).join("\n");

const filesAtOnce = 16;
const bytesAtOnce = 4 * 1024 * 1024;

/** Only articles whose hash is new are written; what is no longer in the folder goes. */
async function synchronize(query: Query, { files }: Listing, language: string): Promise<void> {
  const stored = await query("select source, content_hash from agent_support.articles");
  const hashes = new Map(stored.map((row) => [String(row.source), String(row.content_hash)]));
  let batch: Awaited<ReturnType<typeof readArticle>>[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await store(query, batch, language);
    batch = [];
  };
  for (let at = 0; at < files.length; at += filesAtOnce) {
    const articles = await Promise.all(files.slice(at, at + filesAtOnce).map(readArticle));
    batch.push(
      ...articles.filter(({ source, contentHash }) => hashes.get(source) !== `${language}:${contentHash}`),
    );
    if (batch.reduce((sum, { body }) => sum + body.length, 0) > bytesAtOnce) await flush();
  }
  await flush();
  await query("delete from agent_support.articles where source <> all ($1::text[])", [
    files.map(({ source }) => source),
  ]);
}

/** Sorted, so that two workers write in the same order. A vector holds 1 MB at most: of a long text the beginning counts. */
async function store(query: Query, batch: { source: string }[], language: string): Promise<void> {
  await query(
    `insert into agent_support.articles (source, title, body, content_hash, document)
     select a.source, a.title, a.body, $2 || ':' || a."contentHash",
       setweight(to_tsvector($2::regconfig, left(a.title, 1000)), 'A') ||
       setweight(to_tsvector($2::regconfig, left(a.body, 200000)), 'B')
     from jsonb_to_recordset($1::jsonb) as a (source text, title text, body text, "contentHash" text)
     order by a.source
     on conflict (source) do update set title = excluded.title, body = excluded.body,
       content_hash = excluded.content_hash, document = excluded.document`,
    [JSON.stringify(batch), language],
  );
}

/**
 * Articles that match the question as people write it for a search engine come first; then those that share words with
 * it, by how many. A headline marks nothing, so it needs no HTML.
 */
const searchSql = `
  with question as (
    select websearch_to_tsquery($2::regconfig, $1) as strict,
      replace(plainto_tsquery($2::regconfig, $1)::text, '&', '|')::tsquery as loose,
      tsvector_to_array(to_tsvector($2::regconfig, $1)) as words
  ), found as (
    select a.source, a.title, a.body, q.loose,
      (a.document @@ q.strict) as strict,
      ts_rank_cd(a.document, q.loose) as rank,
      (select count(*) from unnest(q.words) as word where word = any (tsvector_to_array(a.document)))::float
        / greatest(1, cardinality(q.words)) as coverage
    from agent_support.articles a, question q
    where a.document @@ q.strict or a.document @@ q.loose
    order by strict desc, coverage desc, rank desc, a.source
    limit $3
  )
  select source, title, round(coverage::numeric, 2)::float as coverage,
    ts_headline($2::regconfig, left(body, 100000), loose,
      'StartSel="", StopSel="", MaxFragments=2, MaxWords=45, MinWords=20, FragmentDelimiter=" … "') as excerpt
  from found order by strict desc, coverage desc, rank desc, source`;

async function search(
  query: Query,
  { question, limit, language }: { question: string; limit: number; language: string },
): Promise<FoundArticle[]> {
  const rows = await query(searchSql, [question, language, limit]);
  return z.array(foundSchema).parse(rows);
}
