/**
 * The built console. Files with a hash in their name never change; the page itself is never kept, because each copy has a
 * nonce of its own. Only addresses that the console knows get the page.
 */
import { readFile, realpath } from "node:fs/promises";
import { extname, join, sep } from "node:path";
import type { HttpDeps } from "./deps.ts";
import { contentPolicy } from "./headers.ts";
import { HttpRefusal } from "./problem.ts";

const pages = /^\/(?:(?:threads|approvals|deliveries)(?:\/.*)?)?$/;

const mediaTypes: Record<string, string> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
  ".map": "application/json",
  ".txt": "text/plain; charset=utf-8",
};

type ConsoleDeps = Pick<HttpDeps, "consoleFolder" | "ids">;

/** Null when the path is none of the console's. */
export async function consoleAnswer(request: Request, deps: ConsoleDeps): Promise<Response | null> {
  const { pathname } = new URL(request.url);
  if (pages.test(pathname)) return page(deps);
  const mediaType = mediaTypes[extname(pathname)];
  if (mediaType === undefined) return null;
  const content = await readInside(deps.consoleFolder, pathname);
  if (content === null) return null;
  const kept = pathname.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
  return new Response(content, { headers: { "content-type": mediaType, "cache-control": kept } });
}

async function page({ consoleFolder, ids }: ConsoleDeps): Promise<Response> {
  const nonce = Buffer.from(ids.randomBytes(18)).toString("base64");
  const content = await readInside(consoleFolder, "/index.html");
  if (content === null) {
    throw new HttpRefusal(503, "The console is not built yet. Try again in a moment; the API works.", {
      headers: { "retry-after": "3" },
    });
  }
  return new Response(new TextDecoder().decode(content).replaceAll("__CSP_NONCE__", nonce), {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy": contentPolicy(nonce),
    },
  });
}

/** Null for what is not there, and for what a path or a link leads to outside of the folder. */
async function readInside(folder: string, pathname: string): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    const root = await realpath(folder);
    const file = await realpath(join(root, decodeURIComponent(pathname)));
    return file.startsWith(root + sep) ? new Uint8Array(await readFile(file)) : null;
  } catch {
    return null;
  }
}
