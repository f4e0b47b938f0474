/** Reads a folder of Markdown articles, within limits. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";

export interface ArticleFile {
  /** The path below the folder, with slashes: how answers name their source. */
  source: string;
  path: string;
  mtimeMs: number;
  sizeBytes: number;
}

export interface Article {
  source: string;
  title: string;
  body: string;
  contentHash: string;
}

export const maxArticles = 2_000;
export const maxArticleBytes = 1024 * 1024;

export interface Listing {
  files: ArticleFile[];
  /** What was left out, and why. */
  problems: string[];
}

/**
 * The articles of a folder and its sub-folders, by name. Hidden files and links are left out: a link could lead anywhere.
 * @throws {Error} when the folder cannot be read.
 */
export async function listArticles(folder: string): Promise<Listing> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && /\.(md|markdown)$/i.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter(
      (path) =>
        !relative(folder, path)
          .split(sep)
          .some((part) => part.startsWith(".")),
    )
    .sort();
  const files = await Promise.all(
    paths.slice(0, maxArticles).map(async (path): Promise<ArticleFile> => {
      const { mtimeMs, size } = await stat(path);
      return { source: relative(folder, path).split(sep).join("/"), path, mtimeMs, sizeBytes: size };
    }),
  );
  const tooLarge = files.filter(({ sizeBytes }) => sizeBytes > maxArticleBytes);
  return {
    files: files.filter((file) => !tooLarge.includes(file)),
    problems: [
      ...(paths.length > maxArticles
        ? [`${folder} holds ${paths.length} articles; ${maxArticles} is the most`]
        : []),
      ...tooLarge.map(({ path }) => `${path} is larger than 1 MB`),
    ],
  };
}

/** The title is the first heading, or the file's name. */
export async function readArticle({ source, path }: ArticleFile): Promise<Article> {
  const bytes = await readFile(path);
  // Postgres stores no NUL in text.
  const text = bytes.toString("utf8").replaceAll("\0", "");
  const [, heading] = /^#\s+(.+?)\s*#*\s*$/m.exec(text) ?? [];
  const title = heading ?? source.replace(/^.*\//, "").replace(/\.\w+$/, "");
  return { source, title, body: text, contentHash: createHash("sha256").update(bytes).digest("hex") };
}
