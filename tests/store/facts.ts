/** What store tests write: messages, threads, approvals with an identity of their own each. */
import { randomUUID } from "node:crypto";
import { actionDigest, type Policy, policySchema } from "../../core/approval.ts";
import type { EventOf, NewEvent } from "../../core/events.ts";
import type {
  AcceptRequest,
  LeasedThread,
  NewApproval,
  NewOutboxEntry,
  ThreadLog,
} from "../../core/ports.ts";
import type { ThreadState } from "../../core/thread.ts";
import type { Binding, Sender } from "../../core/words.ts";
import type { Database } from "../../store/postgres.ts";
import { sender } from "../support/arbitraries.ts";

const system = { kind: "system", name: "test" } as const;

export const newBinding = (): Binding => ({ channel: "web", account: "a", room: "r", anchor: randomUUID() });

export const write = <T extends NewEvent["type"]>(type: T, data: EventOf<T>): NewEvent =>
  ({ type, data, actor: system }) as NewEvent;

export const say = (text: string, via: Binding = newBinding()): NewEvent =>
  write("message_received", {
    messageId: randomUUID(),
    text,
    sender: sender("ann"),
    attachments: [],
    via,
    correlationId: "c",
  });

export const to = (
  target: Binding | string,
  {
    key = randomUUID(),
    text = "hello",
    event = say(text),
  }: { key?: string; text?: string; event?: NewEvent } = {},
): AcceptRequest => ({
  target:
    typeof target === "string"
      ? { threadId: target }
      : { binding: target, agent: "deploybot", newThreadId: randomUUID() },
  dedupe: { channel: "web", account: "a", key },
  event,
});

export async function newThread(log: ThreadLog, text = "hello"): Promise<string> {
  const result = await log.accept(to(newBinding(), { text }));
  if (result.outcome !== "accepted") throw new Error(result.outcome);
  return result.threadId;
}

export async function leased(
  log: ThreadLog,
  threadId: string,
  owner = "w",
  ttlMs = 60_000,
): Promise<LeasedThread> {
  const held = await log.lease(threadId, owner, ttlMs);
  if (held === null) throw new Error("the thread is held by another worker");
  return held;
}

export const note = (text = "n"): NewEvent =>
  write("prefetched", { runId: randomUUID(), name: text, outcome: { ok: true, result: null } });

export const entry = (more: Partial<NewOutboxEntry> = {}): NewOutboxEntry => ({
  outboxId: randomUUID(),
  kind: "reply",
  binding: newBinding(),
  content: { text: "hi" },
  answers: [2],
  ...more,
});

export function newApproval(
  threadId: string,
  rules: Partial<Policy> = {},
  expiresAt: string | null = null,
): NewApproval {
  const action = {
    tool: "deploy",
    args: { tag: "v1" },
    agent: "deploybot",
    threadId,
    callId: randomUUID(),
    requesters: ["ann"],
    policyVersion: "1",
    expiresAt,
  };
  const code = randomUUID().slice(0, 8);
  const policy = policySchema.parse({ name: "p", ...rules });
  return { ...action, approvalId: randomUUID(), digest: actionDigest(action), code, summary: null, policy };
}

/** A thread in which an approval is asked for; nobody holds it. */
export async function asked(
  log: ThreadLog,
  rules: Partial<Policy> = {},
  expiresAt: string | null = null,
): Promise<{ threadId: string; approval: NewApproval; state: ThreadState }> {
  const threadId = await newThread(log);
  const { lease, state } = await leased(log, threadId);
  const approval = newApproval(threadId, rules, expiresAt);
  const { callId, tool, args, approvalId, digest, code } = approval;
  const call = { callId, tool, args, effect: "once", subject: "s", approvalPolicy: "p" } as const;
  const runId = randomUUID();
  const decision = { type: "call" as const, calls: [call] };
  const events = [
    write("run_started", { runId, correlationId: "c" }),
    write("step_decided", {
      stepId: randomUUID(),
      runId,
      basisSeq: state.seq,
      reasoning: "",
      confidence: 1,
      decision,
      usage: null,
    }),
    write("approval_requested", {
      approvalId,
      callId,
      digest,
      code,
      tool,
      args,
      policy: "p",
      policyVersion: "1",
      expiresAt,
    }),
  ];
  const timers =
    expiresAt === null
      ? []
      : [{ timerId: randomUUID(), dueAt: expiresAt, kind: "approval_expiry" as const, subject: approvalId }];
  const done = await log.commit(lease, state, { events, approvals: [approval], timers, release: true });
  if (done.outcome !== "committed" || !done.released) throw new Error("the approval could not be asked for");
  return { threadId, approval, state: done.state };
}

export const decision = (
  approvalId: string,
  person: string,
  more: {
    verdict?: "approve" | "reject" | "edit" | "ask_back";
    reason?: string | null;
    args?: NewApproval["args"] | null;
    who?: Partial<Sender>;
  } = {},
) => ({
  approvalId,
  verdict: more.verdict ?? ("approve" as const),
  sender: sender(person, more.who),
  roles: [],
  reason: more.reason ?? null,
  args: more.args ?? null,
});

export async function count(database: Database, from: string, values: unknown[] = []): Promise<number> {
  const rows = await database.run({ text: `select count(*)::int as n from ${from}`, values });
  return rows[0]?.n as number;
}

/** Counts the statements that run through it. */
export function counting(database: Database): Database & { readonly statements: number } {
  let statements = 0;
  return {
    run(statement) {
      statements++;
      return database.run(statement);
    },
    close: () => database.close(),
    get statements() {
      return statements;
    },
  };
}

export const times = <T>(n: number, make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, index) => make(index)));
