/** Threads in the middle of things, made by the store's own statements: an approval that waits, deliveries, model calls. */
import { actionDigest, approvalCode, policySchema, policyVersion } from "../../../core/approval.ts";
import type { EventOf, NewEvent } from "../../../core/events.ts";
import type { Commit, NewApproval, NewOutboxEntry, ThreadLog } from "../../../core/ports.ts";
import type { Actor } from "../../../core/words.ts";
import { webBinding } from "../../../gateway/http/web-binding.ts";
import { ids } from "../../../gateway/ids.ts";

const agent: Actor = { kind: "agent", name: "helper" };

/** One commit on the thread, as a worker would make it. */
export async function commitOn(log: ThreadLog, threadId: string, commit: Commit): Promise<void> {
  const held = await log.lease(threadId, "test", 10_000);
  if (held === null) throw new Error("the thread is held");
  const { outcome, state } = await log.commit(held.lease, held.state, commit);
  if (outcome !== "committed") throw new Error("the log moved");
  await log.release(held.lease, state);
}

export async function newThread(log: ThreadLog, text = "deploy"): Promise<string> {
  const binding = webBinding(ids.next());
  const sender = {
    channel: "web",
    account: "local",
    identity: "bob",
    name: "Bob",
    kind: "human",
    assurance: "session",
    person: "bob",
  } as const;
  const result = await log.accept({
    target: { binding, agent: "helper", newThreadId: ids.next() },
    dedupe: { channel: "web", account: "bob", key: ids.next() },
    event: {
      type: "message_received",
      data: { messageId: ids.next(), text, sender, attachments: [], via: binding, correlationId: ids.next() },
      actor: { kind: "person", sender },
    },
  });
  if (result.outcome === "no_thread") throw new Error("no thread");
  return result.threadId;
}

export interface Seeded {
  threadId: string;
  approvalId: string;
  callId: string;
  runId: string;
}

type PolicyParts = { roles?: string[]; quorum?: number; notRequester?: boolean };

/** A thread whose agent has chosen `deploy` and asks for approval. */
export async function awaitingApproval(log: ThreadLog, parts: PolicyParts = {}): Promise<Seeded> {
  const threadId = await newThread(log);
  const [runId, callId, approvalId] = [ids.next(), ids.next(), ids.next()];
  const args = { tag: "v1.4.2" };
  const call = {
    callId,
    tool: "deploy",
    args,
    effect: "once" as const,
    subject: "deploy",
    approvalPolicy: "production",
  };
  const policy = policySchema.parse({ name: "production", ...parts });
  const version = policyVersion(policy);
  const action = {
    tool: "deploy",
    args,
    agent: "helper",
    threadId,
    callId,
    requesters: ["bob"],
    policyVersion: version,
    expiresAt: null,
  };
  const approval: NewApproval = {
    ...action,
    approvalId,
    digest: actionDigest(action),
    code: approvalCode(ids.randomBytes(6)),
    summary: "Deploy v1.4.2",
    policy,
  };
  const { digest, code } = approval;
  const requested: EventOf<"approval_requested"> = {
    approvalId,
    callId,
    digest,
    code,
    tool: "deploy",
    args,
    policy: "production",
    policyVersion: version,
    expiresAt: null,
  };
  const events: NewEvent[] = [
    { type: "run_started", data: { runId, correlationId: ids.next() }, actor: agent },
    stepDecided(runId, 2, { type: "call", calls: [call] }),
    { type: "approval_requested", data: requested, actor: agent },
  ];
  await commitOn(log, threadId, { events, approvals: [approval] });
  return { threadId, approvalId, callId, runId };
}

export function stepDecided(
  runId: string,
  basisSeq: number,
  decision: EventOf<"step_decided">["decision"],
): NewEvent {
  const data = {
    stepId: ids.next(),
    runId,
    basisSeq,
    reasoning: "because",
    confidence: 0.9,
    decision,
    usage: null,
  };
  return { type: "step_decided", data, actor: agent };
}

export function outboxEntry(threadId: string): NewOutboxEntry {
  return {
    outboxId: ids.next(),
    kind: "reply",
    binding: webBinding(threadId),
    content: { text: "hi" },
    answers: [2],
  };
}
