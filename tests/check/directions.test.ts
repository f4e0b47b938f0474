/** The dependency rules of `npm run check` find what they forbid: each case plants one violation in a tree of its own. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

function cruise(files: Record<string, string>): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), "parley-directions-"));
  try {
    copyFileSync(join(root, ".dependency-cruiser.mjs"), join(folder, ".dependency-cruiser.mjs"));
    copyFileSync(join(root, "package.json"), join(folder, "package.json"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const folders = [...new Set(Object.keys(files).map((path) => path.split("/")[0] ?? ""))];
    const command = [join(root, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs"), "--config"];
    const { status, stdout } = spawnSync(
      process.execPath,
      [...command, ".dependency-cruiser.mjs", ...folders],
      {
        cwd: folder,
        encoding: "utf8",
      },
    );
    return { status, output: stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const target = (name: string) => `export const ${name} = 1;\nexport interface ${name}Shape { a: number }\n`;

const violations: [string, string, Record<string, string>][] = [
  [
    "a channel that imports an agent",
    "channels-imports-only-core",
    {
      "channels/a.ts": 'import { b } from "../agents/b.ts";\nexport const a = b;\n',
      "agents/b.ts": target("b"),
    },
  ],
  [
    "a channel that imports no more than an agent's type",
    "channels-imports-only-core",
    {
      "channels/a.ts": 'import type { bShape } from "../agents/b.ts";\nexport const a: bShape = { a: 1 };\n',
      "agents/b.ts": target("b"),
    },
  ],
  [
    "the core that imports the store",
    "core-imports-only-itself",
    { "core/a.ts": 'import { b } from "../store/b.ts";\nexport const a = b;\n', "store/b.ts": target("b") },
  ],
  [
    "the core that reads files",
    "core-does-no-io",
    { "core/a.ts": 'import { readFileSync } from "node:fs";\nexport const a = readFileSync;\n' },
  ],
  [
    "BullMQ outside queue/",
    "bullmq-stays-home",
    { "gateway/a.ts": 'import { Queue } from "bullmq";\nexport const a = Queue;\n' },
  ],
  [
    "the model SDK outside agents/model/",
    "openai-stays-home",
    { "agents/runtime/a.ts": 'import OpenAI from "openai";\nexport const a = OpenAI;\n' },
  ],
  [
    "a console that imports the server's code",
    "console-takes-types-only",
    {
      "console/a.ts": 'import { b } from "../gateway/b.ts";\nexport const a = b;\n',
      "gateway/b.ts": target("b"),
    },
  ],
  [
    "a cycle",
    "no-cycles",
    {
      "store/a.ts": 'import { b } from "./b.ts";\nexport const a = b;\n',
      "store/b.ts": 'import { a } from "./a.ts";\nexport const b = a;\n',
    },
  ],
];

describe("the dependency rules", () => {
  it.each(violations)("find %s", (_, rule, files) => {
    const { status, output } = cruise(files);
    expect(output).toContain(rule);
    expect(status).toBeGreaterThan(0);
  });

  it("let pass what they allow", () => {
    const { status, output } = cruise({
      "gateway/a.ts": 'import { b } from "../store/b.ts";\nexport const a = b;\n',
      "store/b.ts": 'import pg from "pg";\nexport const b = pg.Pool;\n',
      "console/c.ts": 'import type { dShape } from "../gateway/d.ts";\nexport const c: dShape = { a: 1 };\n',
      "gateway/d.ts": target("d"),
    });
    expect(output).toContain("no dependency violations");
    expect(status).toBe(0);
  });
});
