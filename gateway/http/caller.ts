/**
 * Who is asking: a bearer token, or a session cookie of the console. A cookie travels with every request that a browser makes,
 * so what it changes needs proof that our own page asked: an exact Origin, and the session's token in a header.
 */
import { timingSafeEqual } from "node:crypto";
import { parse } from "hono/utils/cookie";
import type { Sender } from "../../core/words.ts";
import type { TokenOwner } from "../../store/tokens.ts";
import type { HttpDeps } from "./deps.ts";
import { ownOrigins, type Place } from "./origin.ts";
import { refuse } from "./problem.ts";
import { type Access, hasScope } from "./scopes.ts";

export interface Caller extends TokenOwner {
  roles: string[];
  /** Set when a session cookie was presented. */
  session: { secret: string; csrfToken: string } | null;
}

/** `__Host-` binds a cookie to this host and to https; browsers take it from https only. */
export const cookieName = (publicUrl: string | null): string =>
  isHttps(publicUrl) ? "__Host-parley_session" : "parley_session";

export const isHttps = (publicUrl: string | null): boolean => publicUrl?.startsWith("https:") ?? false;

/** Null when nothing valid was presented. An Authorization header counts alone: the cookie is not looked at then. */
export async function findCaller(request: Request, deps: HttpDeps): Promise<Caller | null> {
  const authorization = request.headers.get("authorization");
  if (authorization !== null) {
    const secret = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1];
    const owner = secret === undefined ? null : await deps.tokens.find(secret);
    return owner === null ? null : callerOf(owner, null, deps);
  }
  const secret = parse(request.headers.get("cookie") ?? "")[cookieName(deps.publicUrl)];
  if (secret === undefined || secret.length > 512) return null;
  const owner = await deps.tokens.findSession(secret);
  return owner === null ? null : callerOf(owner, { secret, csrfToken: owner.csrfToken }, deps);
}

export function callerOf(
  owner: TokenOwner,
  session: Caller["session"],
  deps: Pick<HttpDeps, "people">,
): Caller {
  const { tokenId, name, person, scopes } = owner;
  return { tokenId, name, person, scopes, roles: deps.people.rolesOf(person), session };
}

/** @throws {RefusedError} 401 without a caller, 403 without the scope. */
export function checkAccess(access: Exclude<Access, "public">, caller: Caller | null): Caller {
  if (caller === null)
    throw refuse("unauthorized", "Sign in, or send a valid token as `Authorization: Bearer …`.");
  if (access !== "signed_in" && !hasScope(caller.scopes, access)) {
    throw refuse("forbidden", `This needs the scope "${access}"; your token does not have it.`);
  }
  return caller;
}

/** @throws {RefusedError} 403 when a cookie came with a request that our own page did not make. */
export function checkCsrf(request: Request, caller: Caller, place: Place): void {
  if (caller.session === null) return;
  checkOrigin(request, place, "required");
  const presented = Buffer.from(request.headers.get("x-csrf-token") ?? "");
  const expected = Buffer.from(caller.session.csrfToken);
  if (presented.length !== expected.length || !timingSafeEqual(presented, expected)) {
    throw refuse("forbidden", "The header x-csrf-token is missing or not this session's.");
  }
}

/** @throws {RefusedError} 403 for another site's origin. */
export function checkOrigin(request: Request, place: Place, presence: "required" | "optional"): void {
  const origin = request.headers.get("origin");
  if (origin === null && presence === "optional") return;
  if (origin !== null && ownOrigins(place).has(origin)) return;
  throw refuse(
    "forbidden",
    "The request does not come from this console's own address. Set PARLEY_PUBLIC_URL when it is reached by another one.",
  );
}

/** The caller as whoever writes or decides, DESIGN section 5: assurance `session`. */
export function senderOf(caller: Caller, deps: Pick<HttpDeps, "people">): Sender {
  return {
    channel: "web",
    account: "local",
    identity: caller.person,
    name: deps.people.nameOf(caller.person).slice(0, 200),
    kind: "human",
    assurance: "session",
    person: caller.person,
  };
}
