/** How long `parley start` takes until it answers, first and later, and what the idle process with its database weighs. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cellsOf, type Result, spreadColumns, spreadOf, type Tell, timeGoal } from "./figures.ts";

const root = join(import.meta.dirname, "..");
const mostWaitMs = 30_000;
const idleMs = 3_000;

export async function startUp(repetitions: number, tell: Tell): Promise<Result> {
  const samples = {
    firstMs: [] as number[],
    laterMs: [] as number[],
    processMb: [] as number[],
    databaseMb: [] as number[],
  };
  for (let run = 1; run <= repetitions; run++) {
    tell(`start-up: ${run} of ${repetitions}`);
    const folder = mkdtempSync(join(tmpdir(), "parley-start-"));
    try {
      samples.firstMs.push((await started(folder)).ms);
      const later = await started(folder);
      samples.laterMs.push(later.ms);
      samples.processMb.push(later.processMb);
      samples.databaseMb.push(later.databaseMb);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const rows: Result["rows"] = {
    "first start, until it answers (ms)": cellsOf(spreadOf(samples.firstMs)),
    "later start, until it answers (ms)": cellsOf(spreadOf(samples.laterMs)),
    "idle process, resident (MB)": cellsOf(spreadOf(samples.processMb)),
    "its embedded database, proportional (MB)": cellsOf(spreadOf(samples.databaseMb)),
  };
  return {
    name: "start-up",
    columns: spreadColumns,
    rows,
    goals: [timeGoal("first start under 20 s", Math.max(...samples.firstMs) < 20_000)],
  };
}

async function started(folder: string): Promise<{ ms: number; processMb: number; databaseMb: number }> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [join(root, "bin/parley.mjs"), "start"], {
    cwd: folder,
    stdio: "ignore",
    env: {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      PARLEY_DATA_DIR: join(folder, "data"),
      PARLEY_PORT: String(port),
    },
  });
  try {
    await untilReady(`http://127.0.0.1:${port}/readyz`, child);
    const ms = performance.now() - startedAt;
    await sleep(idleMs);
    return { ms, processMb: residentMb(child.pid ?? 0), databaseMb: databaseMb(folder) };
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + mostWaitMs;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`parley start ended with ${child.exitCode}`);
    const ready = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    await sleep(10);
  }
  throw new Error("parley start did not become ready");
}

const residentMb = (pid: number): number => kilobytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+)/m) / 1024;

/** Shared pages are counted in proportion: the sum over Postgres's processes is what they take together. */
function databaseMb(folder: string): number {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const parents = new Map(
    pids.map((pid) => [pid, readOr(`/proc/${pid}/stat`).split(") ")[1]?.split(" ")[1] ?? ""]),
  );
  const postmasters = new Set(pids.filter((pid) => readOr(`/proc/${pid}/cmdline`).includes(folder)));
  const all = pids.filter((pid) => postmasters.has(pid) || postmasters.has(parents.get(pid) ?? ""));
  return all.reduce((sum, pid) => sum + kilobytes(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+)/m), 0) / 1024;
}

const kilobytes = (file: string, pattern: RegExp): number => Number(pattern.exec(readOr(file))?.[1] ?? 0);

function readOr(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
