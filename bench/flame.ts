/**
 * `node bin/launch.mjs bench/flame.ts [file.svg]`: profiles a process that accepts, works and delivers under end-to-end
 * load, and draws where its time goes as a flame graph, the picture of docs/performance.md. Idle time is left out.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { startTempRedis } from "../tests/support/redis.ts";
import { talk } from "./end-to-end.ts";
import { openPlatform } from "./platform.ts";
import { tempDatabase } from "./stage.ts";

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string() }),
      children: z.array(z.number()).default([]),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

export interface Frame {
  name: string;
  owner: string;
  ms: number;
  children: Map<string, Frame>;
}

const root = join(import.meta.dirname, "..");
const idle = new Set(["(idle)", "(root)"]);

/** Calls with the same path are one frame; what the profiler itself does is left out. */
export function framesOf(text: string): Frame {
  const { nodes, samples, timeDeltas } = profileSchema.parse(JSON.parse(text));
  const own = new Map<number, number>();
  for (const [at, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + (timeDeltas[at] ?? 0) / 1_000);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const whole: Frame = { name: "all", owner: "node", ms: 0, children: new Map() };
  const add = (id: number, into: Frame): number => {
    const node = byId.get(id);
    if (node === undefined || node.callFrame.functionName === "(idle)") return 0;
    const frame = idle.has(node.callFrame.functionName) ? into : childOf(into, node.callFrame);
    const ms = (own.get(id) ?? 0) + node.children.reduce((sum, child) => sum + add(child, frame), 0);
    if (frame !== into) frame.ms += ms;
    return ms;
  };
  const first = nodes[0];
  whole.ms = first === undefined ? 0 : add(first.id, whole);
  return whole;
}

function childOf(frame: Frame, { functionName, url }: { functionName: string; url: string }): Frame {
  const owner = ownerOf(url);
  const name = `${functionName === "" ? "(anonymous)" : functionName} ${placeOf(url)}`.trim();
  const known = frame.children.get(name);
  if (known !== undefined) return known;
  const made: Frame = { name, owner, ms: 0, children: new Map() };
  frame.children.set(name, made);
  return made;
}

const placeOf = (url: string): string =>
  url
    .replace("file://", "")
    .replace(`${root}/`, "")
    .replace(/^.*node_modules\//, "");

/** Parley's folder, or the package, or Node itself. */
function ownerOf(url: string): string {
  if (url.includes("node_modules/")) return placeOf(url).split("/")[0] ?? "node";
  return url.startsWith("file://") ? (placeOf(url).split("/")[0] ?? "node") : "node";
}

const width = 1_200;
const rowHeight = 17;
const leastWidth = 2;
const colours: Record<string, string> = {
  pg: "#5b8def",
  "pg-pool": "#5b8def",
  "pg-protocol": "#5b8def",
  bullmq: "#e4574c",
  ioredis: "#e99a3c",
  zod: "#b06fd8",
  node: "#b9bec7",
  bench: "#8f98a8",
};
const ownColour = "#3fae6a";

interface Placed {
  frame: Frame;
  x: number;
  depth: number;
}

/** Everything wide enough to see, from the bottom up. */
function placed(frame: Frame, scale: number, x = 0, depth = 0): Placed[] {
  if (frame.ms * scale < leastWidth) return [];
  let at = x;
  const above = [...frame.children.values()]
    .toSorted((a, b) => b.ms - a.ms)
    .flatMap((child) => {
      const some = placed(child, scale, at, depth + 1);
      at += child.ms * scale;
      return some;
    });
  return [{ frame, x, depth }, ...above];
}

export function flameGraph(whole: Frame): string {
  const scale = width / Math.max(whole.ms, 1e-9);
  const all = placed(whole, scale);
  const height = (Math.max(...all.map(({ depth }) => depth)) + 1) * rowHeight + 34;
  const boxes = all.map(({ frame, x, depth }) =>
    box(frame, { x, y: height - (depth + 1) * rowHeight, scale, total: whole.ms }),
  );
  const legend = Object.entries({
    Parley: ownColour,
    pg: colours.pg,
    bullmq: colours.bullmq,
    ioredis: colours.ioredis,
    zod: colours.zod,
    "Node and the system": colours.node,
    "the benchmark": colours.bench,
  }).map(
    ([name, colour], at) =>
      `<rect x="${at * 165}" y="4" width="12" height="12" fill="${colour}"/><text x="${at * 165 + 17}" y="14">${name}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, monospace" font-size="11">
<rect width="${width}" height="${height}" fill="#ffffff"/>
${[...legend, ...boxes].join("\n")}
</svg>
`;
}

function box(frame: Frame, at: { x: number; y: number; scale: number; total: number }): string {
  const wide = frame.ms * at.scale;
  const letters = Math.floor((wide - 6) / 6.7);
  const label = letters < 3 ? "" : frame.name.slice(0, letters);
  const share = ((frame.ms / at.total) * 100).toFixed(1);
  return `<g><title>${escaped(frame.name)}: ${share} %</title><rect x="${at.x.toFixed(1)}" y="${at.y}" width="${Math.max(wide - 0.5, 0.5).toFixed(1)}" height="${rowHeight - 1}" fill="${colours[frame.owner] ?? ownColourOf(frame.owner)}" rx="1"/><text x="${(at.x + 3).toFixed(1)}" y="${at.y + 12}">${escaped(label)}</text></g>`;
}

const ourFolders = ["core", "store", "queue", "channels", "agents", "gateway"];
const ownColourOf = (owner: string): string => (ourFolders.includes(owner) ? ownColour : "#cdbb8a");

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Milliseconds of its own, by owner: the table beside the picture. */
export function owners(frame: Frame, sums = new Map<string, number>()): Map<string, number> {
  const children = [...frame.children.values()];
  const own = frame.ms - children.reduce((sum, child) => sum + child.ms, 0);
  sums.set(frame.owner, (sums.get(frame.owner) ?? 0) + own);
  for (const child of children) owners(child, sums);
  return sums;
}

async function record(file: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "parley-flame-"));
  const profile = join(folder, "worker.cpuprofile");
  const database = await tempDatabase();
  const redis = await startTempRedis();
  const platform = await openPlatform([{ url: database.url, redisUrl: redis.url, role: "all" }]);
  try {
    await talk(platform, 4_000);
    let replies = 0;
    await platform.profile(0, profile, async () => {
      replies = (await talk(platform, 8_000)).latencies.length;
    });
    const whole = framesOf(readFileSync(profile, "utf8"));
    writeFileSync(file, flameGraph(whole));
    console.log(`${(whole.ms / replies).toFixed(2)} ms of the process's time for each of ${replies} replies`);
    for (const [owner, ms] of [...owners(whole)].sort((a, b) => b[1] - a[1]).slice(0, 14)) {
      console.log(`${((ms / whole.ms) * 100).toFixed(1).padStart(5)} %  ${owner}`);
    }
  } finally {
    await platform.close();
    await redis.close();
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) await record(process.argv[2] ?? join(root, "docs/images/flame-worker.svg"));
