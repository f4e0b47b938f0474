/** API tokens: made, listed and revoked by administrators. */
import { cursorOf, placeOf } from "../cursor.ts";
import type { HttpDeps } from "../deps.ts";
import { refuse } from "../problem.ts";
import { answer, defineRoute, noContent, type Route } from "../route.ts";
import {
  newTokenBody,
  newTokenView,
  pageOf,
  pageQuery,
  tokenParams,
  tokenView as tokenSchema,
} from "../schemas.ts";
import { tokenView } from "../views.ts";

export function tokenRoutes(deps: HttpDeps): Route[] {
  return [
    defineRoute({
      method: "post",
      path: "/v1/tokens",
      access: "admin",
      summary: "Make an API token. The secret is in this answer only.",
      body: newTokenBody,
      answers: { 201: { description: "Made.", schema: newTokenView } },
      async handle({ body, caller }) {
        const expiresAt = body.expiresAt ?? null;
        if (expiresAt !== null && Date.parse(expiresAt) <= deps.clock.now().getTime()) {
          throw refuse("invalid", "`expiresAt` has passed already.");
        }
        const { secret, token } = await deps.tokens.create({
          ...body,
          scopes: [...new Set(body.scopes)],
          expiresAt,
        });
        deps.logger("info", "token_made", { tokenId: token.tokenId, by: caller.tokenId });
        return answer(201, { ...tokenView(token), token: secret });
      },
    }),
    defineRoute({
      method: "get",
      path: "/v1/tokens",
      access: "admin",
      summary: "The valid tokens, newest first, without their secrets.",
      query: pageQuery,
      answers: { 200: { description: "A page of tokens.", schema: pageOf(tokenSchema) } },
      async handle({ query }) {
        const found = await deps.tokens.list({ before: placeOf(query.cursor), limit: query.limit + 1 });
        const items = found.slice(0, query.limit).map(tokenView);
        const last = found.length > query.limit ? items.at(-1) : undefined;
        return answer(200, { items, next: last === undefined ? null : cursorOf([last.createdAt, last.id]) });
      },
    }),
    defineRoute({
      method: "delete",
      path: "/v1/tokens/:tokenId",
      access: "admin",
      summary: "Revoke a token, and end its sessions.",
      params: tokenParams,
      answers: { 204: { description: "Revoked." } },
      async handle({ params, caller }) {
        if (!(await deps.tokens.revoke(params.tokenId))) throw refuse("not_found", "There is no such token.");
        deps.logger("info", "token_revoked", { tokenId: params.tokenId, by: caller.tokenId });
        return noContent();
      },
    }),
  ];
}
