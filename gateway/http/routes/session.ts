/** Sign-in: a token becomes an HttpOnly cookie, so that no script of the console ever holds it. */
import { serialize } from "hono/utils/cookie";
import { type Attempts, signInAttempts } from "../attempts.ts";
import { type Caller, callerOf, checkOrigin, cookieName, isHttps } from "../caller.ts";
import type { HttpDeps } from "../deps.ts";
import type { Place } from "../origin.ts";
import { refuse } from "../problem.ts";
import { answer, defineRoute, noContent, type Route } from "../route.ts";
import { sessionView as sessionSchema, signInBody } from "../schemas.ts";
import { sessionView } from "../views.ts";

/** A session's own time is kept with it (12 h sliding, 7 days at most); the cookie may live as long as that. */
const cookieSeconds = 7 * 24 * 3_600;

export function sessionRoutes(deps: HttpDeps, place: () => Place): Route[] {
  const attempts = signInAttempts(deps.clock);
  const cookie = (value: string, maxAge: number): Record<string, string> => ({
    "set-cookie": serialize(cookieName(deps.publicUrl), value, {
      path: "/",
      httpOnly: true,
      sameSite: "Strict",
      secure: isHttps(deps.publicUrl),
      maxAge,
    }),
  });
  const view = (caller: Caller) => sessionView(caller, deps.people.nameOf(caller.person));

  return [
    defineRoute({
      method: "post",
      path: "/v1/session",
      access: "public",
      summary: "Sign in with a token. The answer sets the session's cookie.",
      body: signInBody,
      answers: { 200: { description: "Signed in.", schema: sessionSchema } },
      async handle({ body, request, address }) {
        checkOrigin(request, place(), "optional");
        const opened = await openSession(deps, attempts, body.token, address);
        const session = { secret: opened.secret, csrfToken: opened.owner.csrfToken };
        const caller = callerOf(opened.owner, session, deps);
        return answer(200, view(caller), cookie(opened.secret, cookieSeconds));
      },
    }),
    defineRoute({
      method: "get",
      path: "/v1/session",
      access: "signed_in",
      summary: "Who is signed in, and the token that requests of the console carry.",
      answers: { 200: { description: "The session.", schema: sessionSchema } },
      handle: async ({ caller }) => answer(200, view(caller)),
    }),
    defineRoute({
      method: "delete",
      path: "/v1/session",
      access: "signed_in",
      summary: "Sign out. A bearer token stays valid.",
      answers: { 204: { description: "Signed out." } },
      async handle({ caller }) {
        if (caller.session !== null) await deps.tokens.closeSession(caller.session.secret);
        return noContent(cookie("", 0));
      },
    }),
  ];
}

async function openSession(deps: HttpDeps, attempts: Attempts, token: string, address: string) {
  attempts.begin(address);
  const opened = await deps.tokens.openSession(token.trim());
  if (opened === null) {
    deps.logger("warn", "sign_in_refused", { address });
    throw refuse("unauthorized", "That token is not valid.");
  }
  attempts.forgive(address);
  deps.logger("info", "signed_in", { tokenId: opened.owner.tokenId, person: opened.owner.person });
  return opened;
}
