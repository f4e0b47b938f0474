import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { named } from "../../../gateway/http/schemas.ts";
import { type Serving, serving } from "./serving.ts";

let s: Serving;
// biome-ignore lint/suspicious/noExplicitAny: the document is what is under test.
let document: any;
beforeAll(async () => {
  s = await serving();
  document = (await s.call("GET", "/v1/openapi.json", { token: null })).body;
});
afterAll(() => s.close());

const schemaShape = z.record(z.string(), z.unknown());
const content = z.record(z.string(), z.object({ schema: schemaShape }));
const operationShape = z.strictObject({
  operationId: z.string().regex(/^[a-zA-Z0-9]+$/),
  summary: z.string().min(3),
  description: z.string().optional(),
  tags: z.array(z.string().min(1)).min(1),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(
    z.strictObject({
      name: z.string(),
      in: z.enum(["path", "query"]),
      required: z.boolean(),
      description: z.string().optional(),
      schema: schemaShape,
    }),
  ),
  requestBody: z.strictObject({ required: z.boolean(), content }).optional(),
  responses: z.record(
    z.string().regex(/^(\d{3}|default)$/),
    z.strictObject({ description: z.string().min(3), content: content.optional() }),
  ),
});

it("has the shape of an OpenAPI 3.1 document", () => {
  const shape = z.object({
    openapi: z.literal("3.1.0"),
    info: z.object({ title: z.string(), version: z.string() }),
    paths: z.record(
      z.string().startsWith("/"),
      z.record(z.enum(["get", "post", "delete"]), operationShape.optional()),
    ),
    components: z.object({ schemas: z.record(z.string(), schemaShape), securitySchemes: schemaShape }),
  });

  expect(shape.safeParse(document).error?.issues ?? []).toEqual([]);
});

it("describes exactly the routes that are served, each under an id of its own", () => {
  const described = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item as object).map((method) => `${method} ${path}`),
  );
  const served = s.http.routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  const ids = [...JSON.stringify(document).matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);

  expect(described.sort()).toEqual(served.sort());
  expect(new Set(ids).size).toBe(served.length);
});

it("serves each described route: none is 404 for want of a route", async () => {
  for (const { method, path } of s.http.routes) {
    const filled = path.replace(/:\w+/g, "01900000-0000-7000-8000-000000000000");
    const { body } = await s.call(method.toUpperCase(), filled, method === "post" ? { body: {} } : {});

    expect(body?.detail ?? "").not.toContain("There is nothing at");
  }
});

it("refers only to schemas that it has, and names all parameters of a path", () => {
  const text = JSON.stringify(document);
  const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target ?? "");

  expect(references.length).toBeGreaterThan(20);
  for (const reference of references) {
    const target = reference
      .slice(2)
      .split("/")
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      .reduce((value: any, key) => value?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
    expect([reference, typeof target]).toEqual([reference, "object"]);
  }
  for (const [path, item] of Object.entries(document.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    for (const operation of Object.values(item as any) as any[]) {
      const declared = operation.parameters.filter((each: { in: string }) => each.in === "path");
      expect(declared.map((each: { name: string }) => each.name)).toEqual(inPath);
    }
  }
});

it("names a schema for each thing that the API shows", () => {
  expect(Object.keys(document.components.schemas).sort()).toEqual(
    expect.arrayContaining(Object.keys(named).sort()),
  );
});
