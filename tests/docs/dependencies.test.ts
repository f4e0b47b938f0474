/** docs/DEPENDENCIES.md has a line for each direct dependency, and no line for anything else. */
import { describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { code, tableRows } from "./tables.ts";

const page = "docs/DEPENDENCIES.md";
const packages = (heading: string): string[] =>
  tableRows(page, heading)
    .map((row) => code(row.package))
    .sort();

describe("docs/DEPENDENCIES.md", () => {
  it("has one line for each dependency at run time, and no other", () => {
    expect(packages("## At run time")).toEqual(Object.keys(manifest.dependencies).sort());
  });

  it("has one line for each dependency for development, and no other", () => {
    expect(packages("## For development")).toEqual(Object.keys(manifest.devDependencies).sort());
  });

  it("says of each why it is here and what would replace it", () => {
    const rows = [...tableRows(page, "## At run time"), ...tableRows(page, "## For development")];
    const columns = ["why it, and not our own code", "what would replace it"];
    const silent = rows.filter((row) => columns.some((column) => (row[column] ?? "") === ""));
    expect(silent).toEqual([]);
  });

  it("names the pinned packages with the versions that package.json has, every override among them", () => {
    const versions: Record<string, string> = {
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.overrides,
    };
    const pinned = tableRows(page, "## Pinned for a reason").map((row) => [code(row.package), row.version]);
    expect(pinned).toEqual(pinned.map(([name = ""]) => [name, versions[name]]));
    expect(pinned.map(([name]) => name)).toEqual(expect.arrayContaining(Object.keys(manifest.overrides)));
  });
});

describe("package.json", () => {
  it("names exact versions only", () => {
    const versions = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.overrides };
    const loose = Object.entries(versions).filter(
      ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
    );
    expect(loose).toEqual([]);
  });
});
