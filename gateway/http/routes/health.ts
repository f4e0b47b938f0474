/** Whether the process lives, whether it can work, and its numbers. */
import { errorLine } from "../../../core/errors.ts";
import { missingMigrations } from "../../../store/readiness.ts";
import type { HttpDeps } from "../deps.ts";
import { answer, defineRoute, type Route } from "../route.ts";
import { healthView, readinessView, statusView } from "../schemas.ts";

const checkMs = 3_000;

export function healthRoutes(deps: HttpDeps): Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/healthz",
      access: "public",
      summary: "The process is alive. It asks nothing else.",
      answers: { 200: { description: "Alive.", schema: healthView } },
      handle: async () => answer(200, { name: "parley", status: "ok" }),
    }),
    defineRoute({
      method: "get",
      path: "/readyz",
      access: "public",
      summary: "The database answers and has this program's schema.",
      answers: {
        200: { description: "Ready.", schema: readinessView },
        503: { description: "Not ready, with the reasons.", schema: readinessView },
      },
      async handle() {
        const reasons = await reasonsAgainst(deps);
        return reasons.length === 0
          ? answer(200, { status: "ready", reasons })
          : answer(503, { status: "not_ready", reasons }, { "retry-after": "2" });
      },
    }),
    defineRoute({
      method: "get",
      path: "/metrics",
      access: "metrics",
      summary: "Numbers for Prometheus.",
      answers: { 200: { description: "Prometheus text.", contentType: deps.metrics.contentType } },
      async handle() {
        const headers = { "content-type": deps.metrics.contentType, "cache-control": "no-store" };
        return new Response(await deps.metrics.text(), { headers });
      },
    }),
    defineRoute({
      method: "get",
      path: "/v1/status",
      access: "signed_in",
      summary: "What runs here, and what to do next.",
      answers: { 200: { description: "The status.", schema: statusView } },
      handle: async () => answer(200, await deps.status()),
    }),
  ];
}

/** The reasons are for anybody: they name no host and no error text. */
async function reasonsAgainst(deps: HttpDeps): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), checkMs);
  });
  try {
    const missing = await Promise.race([missingMigrations(deps.database), late]);
    return missing.length === 0 ? [] : [`The database lacks the migrations ${missing.join(", ")}.`];
  } catch (error) {
    deps.logger("warn", "not_ready", { error: errorLine(error) });
    return ["The database does not answer."];
  } finally {
    clearTimeout(timer);
  }
}
