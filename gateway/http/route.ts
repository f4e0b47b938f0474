/**
 * One declaration for each route: method, path, who may, what goes in and out, and the handler. The server checks by it and
 * the OpenAPI document is printed from it, so the two cannot differ.
 */
import type { z } from "zod";
import type { Caller } from "./caller.ts";
import type { Access } from "./scopes.ts";

export interface RouteInput<Params, Query, Body, Who> {
  params: Params;
  query: Query;
  body: Body;
  caller: Who;
  request: Request;
  /** The network address that asked. */
  address: string;
}

export interface RouteAnswer {
  description: string;
  /** Without one the answer has no body, or is of `contentType`. */
  schema?: z.ZodType;
  contentType?: string;
}

interface RouteSpec<A extends Access, P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  method: "get" | "post" | "delete";
  /** With `:name` for parameters. */
  path: string;
  access: A;
  summary: string;
  params?: P;
  query?: Q;
  body?: B;
  /** By status. Errors need none: all of them are problem+json. */
  answers: Record<number, RouteAnswer>;
  handle(
    input: RouteInput<z.output<P>, z.output<Q>, z.output<B>, A extends "public" ? Caller | null : Caller>,
  ): Promise<Response>;
}

export interface Route {
  readonly method: "get" | "post" | "delete";
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly answers: Record<number, RouteAnswer>;
  handle(input: RouteInput<unknown, unknown, unknown, Caller | null>): Promise<Response>;
}

/** The types of `handle`'s input come from the schemas, which the server has parsed by. */
export function defineRoute<
  A extends Access,
  P extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
>(spec: RouteSpec<A, P, Q, B>): Route {
  return spec as unknown as Route;
}

/** @param body typed so that an answer has the shape that gateway/api.ts promises. */
export function answer<T>(status: number, body: T, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

export const noContent = (headers: Record<string, string> = {}): Response =>
  new Response(null, { status: 204, headers: { "cache-control": "no-store", ...headers } });
