/**
 * The HTTP server: the API, the console, health, metrics and the channels' webhooks. It keeps nothing that a crash could
 * lose: whatever was answered with success is in the database.
 */

import type { Context } from "hono";
import { Hono } from "hono";
import { z } from "zod";
import manifest from "../../package.json" with { type: "json" };
import { boundedRequest, readJson } from "./body.ts";
import { checkAccess, checkCsrf, findCaller, isHttps } from "./caller.ts";
import { consoleAnswer } from "./console-files.ts";
import type { HttpDeps } from "./deps.ts";
import { secure } from "./headers.ts";
import { type ListenAddress, type Listener, listenOn } from "./listener.ts";
import { openApiDocument } from "./openapi.ts";
import { checkHost, type Place } from "./origin.ts";
import { answerError, HttpRefusal, invalidInput, refuse } from "./problem.ts";
import { answer, defineRoute, type Route } from "./route.ts";
import { approvalRoutes } from "./routes/approvals.ts";
import { deliveryRoutes } from "./routes/deliveries.ts";
import { healthRoutes } from "./routes/health.ts";
import { sessionRoutes } from "./routes/session.ts";
import { threadRoutes } from "./routes/threads.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { createStreams } from "./stream.ts";
import { createWatch } from "./watch.ts";

export type { HttpDeps } from "./deps.ts";

interface Env {
  Bindings: { incoming?: { socket?: { remoteAddress?: string } } };
  Variables: { route: string };
}

export interface HttpServer {
  /** For tests without a network; `listen` serves the same. */
  readonly app: Hono<Env>;
  /** Every route of the API, as it is checked and documented. */
  readonly routes: readonly Route[];
  /** @throws the system's error (with its `code`) when it cannot listen there. */
  listen(address: ListenAddress): Promise<Listener>;
}

const defaultStreams = 500;

export function createHttp(deps: HttpDeps): HttpServer {
  let place: Place = { host: "127.0.0.1", port: 80, publicUrl: deps.publicUrl };
  const watch = createWatch({ live: deps.live, listing: deps.listing, logger: deps.logger });
  const streams = createStreams({
    listing: deps.listing,
    watch,
    logger: deps.logger,
    most: deps.limits.streams ?? defaultStreams,
    onCount: (open) => deps.metrics.hooks.streams(open),
  });
  const routes = [
    ...healthRoutes(deps),
    ...sessionRoutes(deps, () => place),
    ...threadRoutes(deps, streams),
    ...approvalRoutes(deps),
    ...deliveryRoutes(deps),
    ...tokenRoutes(deps),
  ];
  const all = [...routes, describing(routes)];
  const app = serving(deps, all, () => place);
  return {
    app,
    routes: all,
    async listen(address) {
      const listener = await listenOn(app.fetch, address);
      place = { ...place, host: address.host, port: listener.port };
      return {
        ...listener,
        close(graceMs) {
          watch.close();
          return listener.close(graceMs);
        },
      };
    },
  };
}

function describing(routes: readonly Route[]): Route {
  const route: Route = defineRoute({
    method: "get",
    path: "/v1/openapi.json",
    access: "public",
    summary: "This description.",
    answers: { 200: { description: "OpenAPI 3.1.", schema: z.looseObject({ openapi: z.string() }) } },
    handle: async () => answer(200, openApiDocument([...routes, route], manifest.version)),
  });
  return route;
}

function serving(deps: HttpDeps, routes: readonly Route[], place: () => Place): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (context, next) => {
    const startedMs = performance.now();
    const requestId = deps.ids.next();
    await next();
    context.res = secure(context.res, requestId, isHttps(deps.publicUrl));
    record(deps, context, { requestId, durationMs: performance.now() - startedMs });
  });
  app.onError((error) => answerError(error, deps, deps.ids.next()));
  app.use(async ({ req }, next) => {
    checkHost(place(), req.header("host") ?? new URL(req.url).host);
    await next();
  });
  for (const { channel, accept } of deps.webhooks) {
    const { ingress } = channel;
    if (ingress.kind !== "webhook") continue;
    app.all(ingress.path, async (context) => {
      context.set("route", ingress.path);
      return ingress.receive(await boundedRequest(context.req.raw, deps.limits.bodyBytes), accept);
    });
  }
  for (const route of routes) {
    app.on(route.method.toUpperCase(), route.path, (context) => {
      context.set("route", route.path);
      return run(route, context, deps, place());
    });
  }
  for (const path of new Set(routes.map((route) => route.path))) {
    const methods = routes.filter((route) => route.path === path).map(({ method }) => method.toUpperCase());
    const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : [])].join(", ");
    app.all(path, () => {
      throw new HttpRefusal(405, `This path takes ${allow}.`, { headers: { allow } });
    });
  }
  app.get("*", async (context, next) => {
    const found = await consoleAnswer(context.req.raw, deps);
    if (found === null) return next();
    context.set("route", "console");
    return found;
  });
  app.notFound(({ req }) => {
    throw refuse("not_found", `There is nothing at ${req.path.slice(0, 200)}.`);
  });
  return app;
}

/** The order is that of trust: who, may they, did our own page ask, then what is asked. */
async function run(route: Route, context: Context<Env>, deps: HttpDeps, place: Place): Promise<Response> {
  const request = context.req.raw;
  const caller =
    route.access === "public" ? null : checkAccess(route.access, await findCaller(request, deps));
  if (caller !== null && route.method !== "get") checkCsrf(request, caller, place);
  const params = route.params?.safeParse(context.req.param());
  if (params?.success === false) throw refuse("not_found", "There is nothing of that id: it is not a UUID.");
  const query = route.query?.safeParse(queryOf(context));
  if (query?.success === false) throw invalidInput("query", query.error);
  const body = route.body?.safeParse(await readJson(request, deps.limits.bodyBytes));
  if (body?.success === false) throw invalidInput("body", body.error);
  return route.handle({
    params: params?.data,
    query: query?.data,
    body: body?.data,
    caller,
    request,
    address: context.env?.incoming?.socket?.remoteAddress ?? "unknown",
  });
}

/** @throws {HttpRefusal} for a name that comes twice: which one is meant, nobody can tell. */
function queryOf(context: Context<Env>): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, values] of Object.entries(context.req.queries())) {
    if (values.length > 1) throw new HttpRefusal(400, `The query names "${name}" more than once.`);
    query[name] = values[0] ?? "";
  }
  return query;
}

function record(
  { logger, metrics }: HttpDeps,
  context: Context<Env>,
  { requestId, durationMs }: { requestId: string; durationMs: number },
): void {
  const route = context.get("route") ?? "none";
  const { method } = context.req;
  const { status } = context.res;
  metrics.hooks.request({ method: knownMethod(method), route, status, durationMs });
  // Whoever asks for health asks all the time.
  const level = ["/healthz", "/readyz", "/metrics"].includes(route) && status < 400 ? "debug" : "info";
  logger(level, "http_request", { requestId, method, route, status, durationMs: Math.round(durationMs) });
}

/** A label of a metric must not be anything that a stranger can make up. */
const knownMethod = (method: string): string =>
  ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"].includes(method) ? method : "other";
