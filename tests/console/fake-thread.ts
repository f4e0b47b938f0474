/** A thread of the fake gateway: its log, and a scripted agent that answers, asks, or proposes a deployment. */
import { actionDigest } from "../../core/approval.ts";
import type { NewEvent, ThreadEvent } from "../../core/events.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Actor, ModelUsage, Sender } from "../../core/words.ts";
import type { ApprovalView, DecisionBody, ModelCallView, ThreadView } from "../../gateway/api.ts";

export const me: Sender = {
  channel: "web",
  account: "",
  identity: "ada",
  name: "Ada",
  kind: "human",
  assurance: "session",
  person: "ada",
};
const person: Actor = { kind: "person", sender: me };
const agentActor: Actor = { kind: "agent", name: "deploybot" };
const home = { channel: "web", account: "", room: "console", anchor: "" };
const later = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));
let count = 0;
export const nextId = (): string => `019aa000-0000-7000-8000-${String(++count).padStart(12, "0")}`;

export const deployArgs: JsonObject = {
  service: "backend",
  tag: "v1.4.2",
  environment: "production",
  note: `Line one\nline two \u202Etxt.exe${"\u200B"} ${"a long explanation ".repeat(40)}end-of-note`,
  flags: { migrate: true, replicas: 3, skip: ["smoke", "load"] },
};

export type Signal = { kind: "event"; event: ThreadEvent } | { kind: "partial"; text: string };

export class FakeThread {
  readonly id = nextId();
  readonly log: ThreadEvent[] = [];
  readonly listeners = new Set<(signal: Signal) => void>();
  readonly approvals: ApprovalView[] = [];
  readonly modelCalls: ModelCallView[] = [];
  readonly keys = new Set<string>();
  readonly createdAt = new Date().toISOString();
  halted: "paused" | "cancelled" | null = null;
  stepDelayMs = 25;

  constructor(input: string, key: string) {
    this.append({ type: "thread_started", data: { agent: "deploybot", home }, actor: person });
    this.accept(input, key);
  }

  append(event: NewEvent): void {
    const stored = { ...event, seq: this.log.length + 1, v: 1, at: new Date().toISOString() } as ThreadEvent;
    this.log.push(stored);
    for (const listener of this.listeners) listener({ kind: "event", event: stored });
  }

  accept(text: string, key: string): void {
    if (this.keys.has(key)) return;
    this.keys.add(key);
    const messageId = nextId();
    this.append({
      type: "message_received",
      data: { messageId, text, sender: me, attachments: [], via: home, correlationId: nextId() },
      actor: person,
    });
    void this.answer(text);
  }

  view(): ThreadView {
    const pending = this.approvals.some(({ status }) => status === "pending");
    const first = this.log.find((event) => event.type === "message_received");
    return {
      id: this.id,
      agent: "deploybot",
      status: this.halted ?? (pending ? "waiting" : "done"),
      waitingFor: pending ? ["approval"] : [],
      title: first?.type === "message_received" ? first.data.text : "",
      home,
      seq: this.log.length,
      spend: { tokens: 1240 * this.modelCalls.length, usd: 0 },
      createdAt: this.createdAt,
      updatedAt: this.log.at(-1)?.at ?? this.createdAt,
    };
  }

  private async answer(text: string): Promise<void> {
    const runId = nextId();
    await later(this.stepDelayMs);
    this.append({ type: "run_started", data: { runId, correlationId: nextId() }, actor: agentActor });
    if (text.startsWith("deploy")) return this.propose(runId);
    if (text.startsWith("where")) return this.ask(runId);
    await this.reply(runId, text.startsWith("markdown") ? markdownReply : `You wrote **${text}**.`);
  }

  private step(
    runId: string,
    decision: Extract<NewEvent, { type: "step_decided" }>["data"]["decision"],
  ): void {
    const usage: ModelUsage = {
      modelCallId: nextId(),
      model: "stand-in",
      stage: "primary",
      promptVersion: "v2",
      promptHash: "9f2c4e11ab77d0c5e3",
      inputTokens: 1180,
      outputTokens: 60,
      costUsd: 0,
      latencyMs: 42,
    };
    const { modelCallId, ...call } = usage;
    this.modelCalls.push({
      ...call,
      id: modelCallId,
      threadId: this.id,
      outcome: decision.type,
      correlationId: nextId(),
      at: new Date().toISOString(),
    });
    this.append({
      type: "step_decided",
      data: {
        stepId: nextId(),
        runId,
        basisSeq: this.log.length,
        reasoning: "The tag exists and production needs approval.",
        confidence: 0.93,
        decision,
        usage,
      },
      actor: agentActor,
    });
  }

  private propose(runId: string): void {
    const callId = nextId();
    const call = { callId, tool: "deploy", args: deployArgs, effect: "once" as const, subject: "backend" };
    this.step(runId, { type: "call", calls: [{ ...call, approvalPolicy: "production" }] });
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const approval = this.newApproval(callId, expiresAt);
    this.approvals.push(approval);
    const { id: approvalId, digest, code } = approval;
    this.append({
      type: "approval_requested",
      data: {
        approvalId,
        callId,
        digest,
        code,
        tool: "deploy",
        args: deployArgs,
        policy: "production",
        policyVersion: "0123456789ab",
        expiresAt,
      },
      actor: agentActor,
    });
  }

  private newApproval(callId: string, expiresAt: string): ApprovalView {
    const action = { tool: "deploy", args: deployArgs, agent: "deploybot", threadId: this.id, callId };
    const digest = actionDigest({ ...action, requesters: ["ada"], policyVersion: "0123456789ab", expiresAt });
    return {
      id: nextId(),
      threadId: this.id,
      agent: "deploybot",
      tool: "deploy",
      summary: "Deploy backend v1.4.2 to production",
      args: deployArgs,
      digest,
      shortDigest: digest.slice(0, 12),
      code: "K7QF2M",
      status: "pending",
      policy: "production",
      quorum: 1,
      approvedBy: [],
      requesters: ["Ada"],
      decidedBy: null,
      decidedAt: null,
      reason: null,
      expiresAt,
      createdAt: new Date().toISOString(),
    };
  }

  /** Only for a pending approval. */
  decide(approval: ApprovalView, body: DecisionBody): void {
    const { verdict, reason = null, args = null } = body;
    const final = verdict !== "ask_back";
    if (final) {
      approval.status = verdict === "reject" ? "rejected" : "approved";
      approval.decidedBy = "Ada";
      approval.decidedAt = new Date().toISOString();
      approval.reason = reason;
      if (args !== null) approval.args = args;
    }
    this.append({
      type: "approval_decided",
      data: { approvalId: approval.id, verdict, sender: me, reason, args, digest: approval.digest, final },
      actor: person,
    });
    if (final) void this.act(approval, verdict === "reject" ? reason : null);
  }

  private async act(approval: ApprovalView, refusal: string | null): Promise<void> {
    const runId = nextId();
    if (refusal !== null) return this.reply(runId, `I leave it. You said: ${refusal}`);
    const requested = this.log.find(
      (event) => event.type === "approval_requested" && event.data.approvalId === approval.id,
    );
    const callId = requested?.type === "approval_requested" ? requested.data.callId : "";
    approval.status = "used";
    this.append({
      type: "tool_started",
      data: { callId, attempt: 1, idempotencyKey: callId, approvalId: approval.id },
      actor: agentActor,
    });
    await later(this.stepDelayMs);
    this.append({
      type: "tool_finished",
      data: { callId, result: "ok", durationMs: 180 },
      actor: agentActor,
    });
    await this.reply(runId, `Deployed \`${String(approval.args.tag)}\`.`);
  }

  private ask(runId: string): void {
    const question = {
      questionId: nextId(),
      purpose: "agent" as const,
      text: "Which environment?",
      format: { kind: "choices" as const, choices: ["staging", "production"] },
      urgency: "normal" as const,
    };
    this.step(runId, { type: "ask", question });
    this.append({ type: "question_asked", data: { ...question, runId }, actor: agentActor });
  }

  private async reply(runId: string, text: string): Promise<void> {
    for (let end = 4; end < text.length; end += Math.max(6, text.length >> 3)) {
      for (const listener of this.listeners) listener({ kind: "partial", text: text.slice(0, end) });
      await later(this.stepDelayMs);
    }
    this.step(runId, { type: "reply", text });
    this.append({
      type: "reply_committed",
      data: { runId, outboxId: nextId(), text, answers: [2] },
      actor: agentActor,
    });
    this.append({ type: "run_ended", data: { runId, outcome: "replied" }, actor: agentActor });
  }
}

const markdownReply = `## Result

A [link](https://example.org/a) and <b>raw</b> <script>window.hacked = 1</script> and
![tracker](https://example.org/pixel.png) [bad](javascript:alert(1)).

| tag | state |
|---|---|
| v1.4.2 | **good** |

- one
- two

\`\`\`sh
git tag --list 'v1.*'
\`\`\``;
