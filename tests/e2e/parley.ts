/** Parley as its users run it: a spawned process, spoken to over HTTP. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApprovalView, EventView, Page, ThreadView } from "../../gateway/api.ts";
import { freePort } from "../support/redis.ts";

const root = join(import.meta.dirname, "../..");
export const token = "an-admin-token-for-the-tests-0123456789";

export interface RunningParley {
  readonly url: string;
  readonly child: ChildProcess;
  output(): string;
  /** kill -9 of the process alone, as the kernel does when memory runs out. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface Home {
  readonly folder: string;
  /** Starts Parley in this folder; resolves once it is ready. */
  start(options?: { role?: string; env?: Record<string, string> }): Promise<RunningParley>;
  /** Kills what still runs and removes the folder. */
  close(): Promise<void>;
}

/** A folder of its own, with the environment that every start in it gets. */
export async function home(env: Record<string, string> = {}): Promise<Home> {
  const folder = mkdtempSync(join(tmpdir(), "parley-e2e-"));
  const running: RunningParley[] = [];
  return {
    folder,
    async start({ role = "all", env: more = {} } = {}) {
      const parley = await startIn(folder, role, { ...env, ...more });
      running.push(parley);
      return parley;
    },
    async close() {
      await Promise.all(running.map((parley) => parley.kill()));
      await sleep(200);
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

async function startIn(folder: string, role: string, env: Record<string, string>): Promise<RunningParley> {
  const port = await freePort();
  const child = spawn(process.execPath, [join(root, "bin/parley.mjs"), "start", "--role", role], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      PARLEY_DATA_DIR: join(folder, "data"),
      PARLEY_PORT: String(port),
      PARLEY_ADMIN_TOKEN: token,
      ...env,
    },
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
  };
  const ready = role === "worker" ? () => output.includes("worker runs") : () => answers(`${url}/readyz`);
  await until(`parley start --role ${role}`, async () => {
    if (child.exitCode !== null) throw new Error(`parley start ended with ${child.exitCode}:\n${output}`);
    return ready();
  });
  return { url, child, output: () => output, kill: () => end("SIGKILL"), stop: () => end("SIGTERM") };
}

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    (response) => response.ok,
    () => false,
  );

/** Asks again and again until the answer is neither false nor null nor undefined. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  mostMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + mostMs;
  for (;;) {
    const answer = await ask();
    if (answer !== false && answer !== null && answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`it did not come to this within ${mostMs} ms: ${what}`);
    await sleep(25);
  }
}

/** The API as curl would use it. */
export class Client {
  readonly url: string;
  readonly #token: string;

  constructor(parley: Pick<RunningParley, "url">, bearer: string | undefined = token) {
    this.url = parley.url;
    this.#token = bearer;
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === "" ? null : JSON.parse(text)) as T };
  }

  async startThread(input: string, agent: string, idempotencyKey: string): Promise<ThreadView> {
    const { status, body } = await this.call<ThreadView>("POST", "/v1/threads", {
      agent,
      input,
      idempotencyKey,
    });
    if (status !== 200 && status !== 201)
      throw new Error(`POST /v1/threads: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  async events(threadId: string): Promise<EventView[]> {
    const { body } = await this.call<Page<EventView>>("GET", `/v1/threads/${threadId}/events?limit=200`);
    return body.items;
  }

  async thread(threadId: string): Promise<ThreadView> {
    return (await this.call<ThreadView>("GET", `/v1/threads/${threadId}`)).body;
  }

  pendingApproval(threadId: string): Promise<ApprovalView> {
    return until(`a pending approval in ${threadId}`, async () => {
      const { body } = await this.call<Page<ApprovalView>>("GET", "/v1/approvals?status=pending");
      return body.items.find((approval) => approval.threadId === threadId);
    });
  }

  decide(approvalId: string, decision: { verdict: string; reason?: string; args?: unknown }) {
    return this.call<ApprovalView>("POST", `/v1/approvals/${approvalId}/decision`, decision);
  }

  /** The thread's replies, once there are `count`. */
  replies(threadId: string, count = 1, mostMs = 30_000): Promise<string[]> {
    return until(
      `${count} replies in ${threadId}`,
      async () => {
        const texts = (await this.events(threadId)).flatMap((event) =>
          event.type === "reply_committed" ? [event.data.text] : [],
        );
        return texts.length >= count && texts;
      },
      mostMs,
    );
  }
}

/** Lines of a ledger file that a tool writes; none when it is not there. */
export function ledgerLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}
