/** Request bodies, read under a limit as they stream in: what is too large is refused before it is held in memory. */
import { HttpRefusal, refuse } from "./problem.ts";

/** @throws {RefusedError} `too_large` as soon as the limit is passed. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** The JSON of a request; undefined for an empty body. @throws {HttpRefusal} 415 or 400. */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const bytes = await readBody(request, maxBytes);
  if (bytes.byteLength === 0) return undefined;
  const mediaType = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (mediaType !== "application/json") {
    throw new HttpRefusal(415, "Send the body as application/json.", {
      headers: { accept: "application/json" },
    });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new HttpRefusal(400, "The body is not JSON in UTF-8.");
  }
}

/** The same request with its body in memory, for a channel that verifies a signature over the raw bytes. */
export async function boundedRequest(request: Request, maxBytes: number): Promise<Request> {
  const { method, headers, url, signal } = request;
  if (method === "GET" || method === "HEAD") return new Request(url, { method, headers, signal });
  return new Request(url, { method, headers, signal, body: await readBody(request, maxBytes) });
}

const tooLarge = (maxBytes: number) => refuse("too_large", `The body is larger than ${maxBytes} bytes.`);
