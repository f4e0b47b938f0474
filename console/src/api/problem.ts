/** Reads problem+json (RFC 9457) from anything a server or a proxy on the way may have answered. Never throws. */
import type { Problem } from "../../../gateway/api.ts";

export function readProblem(status: number, body: unknown): Problem {
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const problem: Problem = {
    type: typeof fields.type === "string" ? fields.type : "about:blank",
    title: typeof fields.title === "string" ? fields.title : titleOf(status),
    status,
  };
  if (typeof fields.detail === "string") problem.detail = fields.detail;
  const errors = Array.isArray(fields.errors) ? fields.errors.filter(isFieldError) : [];
  if (errors.length > 0) problem.errors = errors;
  return problem;
}

function isFieldError(value: unknown): value is { path: string; message: string } {
  if (typeof value !== "object" || value === null) return false;
  const { path, message } = value as Record<string, unknown>;
  return typeof path === "string" && typeof message === "string";
}

const titles: Record<number, string> = {
  400: "The request was not understood",
  401: "Not signed in",
  403: "Not allowed",
  404: "Not found",
  409: "Already changed by someone else",
  413: "Too large",
  429: "Too many requests",
  503: "The gateway is not ready",
};

const titleOf = (status: number): string => titles[status] ?? `The gateway answered with status ${status}`;
