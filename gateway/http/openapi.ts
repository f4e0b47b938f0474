/** The OpenAPI 3.1 document, printed from the same routes and schemas that the server checks by. */
import { z } from "zod";
import type { Route, RouteAnswer } from "./route.ts";
import { named } from "./schemas.ts";

type Schema = Record<string, unknown>;

export function openApiDocument(routes: readonly Route[], version: string): Schema {
  const paths: Record<string, Schema> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Parley",
      version,
      description:
        "Talk with agents, decide what they may do, and see what became of it. Errors are problem+json (RFC 9457).",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        session: {
          type: "apiKey",
          in: "cookie",
          name: "parley_session",
          description:
            "The console's cookie; what changes something needs the header x-csrf-token and our own Origin too.",
        },
      },
    },
  };
}

function operation({ method, path, access, summary, params, query, body, answers }: Route): Schema {
  const refusals = access === "public" ? {} : { security: [{ token: [] }, { session: [] }] };
  return {
    operationId: `${method}${path.replace(/[^a-zA-Z0-9]+(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    tags: [tagOf(path)],
    ...(access === "public" || access === "signed_in" ? {} : { description: `Scope: \`${access}\`.` }),
    ...refusals,
    ...(access === "public" ? { security: [] } : {}),
    parameters: [...parametersOf("path", params), ...parametersOf("query", query)],
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, each]) => [status, responseOf(each)])),
      default: {
        description: "Refused or failed.",
        content: { "application/problem+json": { schema: { $ref: refTo("Problem") } } },
      },
    },
  };
}

const tagOf = (path: string): string => (path.startsWith("/v1/") ? (path.split("/")[2] ?? "") : "operation");

function parametersOf(place: "path" | "query", schema: z.ZodObject | undefined): Schema[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchemaOf(schema, "input") as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

const requestBody = (body: z.ZodType): Schema => ({
  required: !body.safeParse(undefined).success,
  content: { "application/json": { schema: jsonSchemaOf(body, "input") } },
});

function responseOf({ description, schema, contentType }: RouteAnswer): Schema {
  if (schema === undefined && contentType === undefined) return { description };
  const shape = schema === undefined ? { type: "string" } : jsonSchemaOf(schema, "output");
  return { description, content: { [contentType ?? "application/json"]: { schema: shape } } };
}

const refTo = (name: string): string => `#/components/schemas/${name}`;

/** Where a schema with a name is used, the document refers to the name. */
function registryOf(extra?: z.ZodType): z.core.$ZodRegistry<{ id?: string }> {
  const registry = z.registry<{ id?: string }>();
  for (const [id, schema] of Object.entries(named)) if (schema !== extra) registry.add(schema, { id });
  if (extra !== undefined) registry.add(extra, { id: "asked_for" });
  return registry;
}

function componentSchemas(): Schema {
  const { schemas } = z.toJSONSchema(registryOf(), { uri: refTo, io: "output" });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withoutHeader(schema)]));
}

function jsonSchemaOf(schema: z.ZodType, io: "input" | "output"): Schema {
  const known = Object.entries(named).find(([, each]) => each === schema);
  if (known !== undefined) return { $ref: refTo(known[0]) };
  const { schemas } = z.toJSONSchema(registryOf(schema), { uri: refTo, io });
  return withoutHeader(schemas.asked_for ?? {});
}

const withoutHeader = ({ $schema: _, $id: __, id: ___, ...schema }: Schema): Schema => schema;
