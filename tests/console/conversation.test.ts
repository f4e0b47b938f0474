import { describe, expect, it } from "vitest";
import { readProblem } from "../../console/src/api/problem.ts";
import { spanText } from "../../console/src/app/words.ts";
import { readArguments } from "../../console/src/approvals/read-arguments.ts";
import { conversationOf } from "../../console/src/chat/conversation.ts";
import { type Sending, withoutArrived } from "../../console/src/chat/use-sending.ts";
import type { NewEvent } from "../../core/events.ts";
import type { EventView } from "../../gateway/api.ts";
import { me } from "./fake-thread.ts";

const via = { channel: "web", account: "", room: "console", anchor: "" };
const agent = { kind: "agent", name: "deploybot" } as const;
const person = { kind: "person", sender: me } as const;
const message = (text: string, messageId = text): NewEvent => ({
  type: "message_received",
  data: { messageId, text, sender: me, attachments: [], via, correlationId: "c" },
  actor: person,
});
const started: NewEvent = { type: "thread_started", data: { agent: "deploybot", home: via }, actor: person };
const asked: NewEvent = {
  type: "question_asked",
  data: {
    questionId: "q",
    purpose: "agent",
    text: "Sure?",
    format: { kind: "yes_no" },
    urgency: "normal",
    runId: "r",
  },
  actor: agent,
};
const log = (...events: NewEvent[]): EventView[] =>
  events.map((event, index) => ({ ...event, seq: index + 1, v: 1, at: "2026-01-02T03:04:05Z" }) as EventView);

describe("a conversation folded from the log", () => {
  it("knows the reader's own messages and that the agent works on them", () => {
    const { items, isWorking, agent: name } = conversationOf(log(started, message("hello")), "ada");

    expect(items).toMatchObject([{ kind: "message", text: "hello", isOwn: true, from: "Ada" }]);
    expect({ isWorking, name }).toEqual({ isWorking: true, name: "deploybot" });
    expect(conversationOf(log(started, message("hello")), "grace").items).toMatchObject([{ isOwn: false }]);
  });

  it("leaves a question open until somebody writes or the thread is cancelled", () => {
    const cancelled: NewEvent = { type: "cancelled", data: { reason: "" }, actor: person };
    const openAfter = (...events: NewEvent[]) =>
      conversationOf(log(started, asked, ...events), "ada").items.find(({ kind }) => kind === "question");

    expect(openAfter()).toMatchObject({ isOpen: true });
    expect(openAfter(message("Yes"))).toMatchObject({ isOpen: false });
    expect(openAfter(cancelled)).toMatchObject({ isOpen: false });
    expect(conversationOf(log(started, asked), "ada").isWorking).toBe(false);
  });

  it("shows one line for a tool call, with its last attempt's outcome, where it began", () => {
    const attempt = (number: number): NewEvent => ({
      type: "tool_started",
      data: { callId: "1", attempt: number, idempotencyKey: "k", approvalId: null },
      actor: agent,
    });
    const failed: NewEvent = {
      type: "tool_failed",
      data: { callId: "1", error: "timeout", durationMs: 5 },
      actor: agent,
    };
    const { items } = conversationOf(log(attempt(1), failed, message("still there?"), attempt(2)), "ada");

    expect(items).toMatchObject([
      { kind: "tool", seq: 1, state: "running", text: "attempt 2" },
      { kind: "message" },
    ]);
  });
});

describe("messages on their way", () => {
  const sending = (key: string, text: string): Sending => ({ key, text, error: null, afterSeq: 1 });

  it("leave the list one for one as the log shows them", () => {
    const two = [sending("a", "ok"), sending("b", "ok")];

    expect(withoutArrived(two, log(started, message("ok")))).toHaveLength(1);
    expect(withoutArrived(two, log(started, message("ok"), message("ok")))).toEqual([]);
  });

  it("are not taken for an older message of the same text, and are known by their key", () => {
    expect(withoutArrived([sending("a", "ok")], log(message("ok")))).toHaveLength(1);
    expect(withoutArrived([sending("a1", "ok")], log(started, message("normalised", "web:a1")))).toEqual([]);
  });
});

describe("edited arguments", () => {
  it("are one JSON object whose numbers stay as they were typed", () => {
    expect(readArguments('{"a": [1, "12345678901234567890", 1.5]}')).toEqual({
      ok: true,
      args: { a: [1, "12345678901234567890", 1.5] },
    });
    for (const text of ["", "null", "[]", '"x"', "{", '{"n": 12345678901234567890}']) {
      expect(readArguments(text).ok, text).toBe(false);
    }
  });
});

describe("a problem", () => {
  it("is read from whatever was answered", () => {
    const errors = [{ path: "args.tag", message: "required" }, null, { path: 1 }];
    expect(readProblem(400, { title: "Invalid", detail: "No tag.", errors })).toEqual({
      type: "about:blank",
      title: "Invalid",
      status: 400,
      detail: "No tag.",
      errors: [{ path: "args.tag", message: "required" }],
    });
    for (const body of [null, "<html>", 7, [], { title: 5, detail: {}, errors: "no" }]) {
      expect(readProblem(502, body)).toEqual({
        type: "about:blank",
        title: "The gateway answered with status 502",
        status: 502,
      });
    }
  });
});

describe("a span of time", () => {
  it("is told in at most two units", () => {
    expect([0, 59_000, 3_599_000, 3_600_000, 90_061_000, -5].map(spanText)).toEqual([
      "0 s",
      "59 s",
      "59 min 59 s",
      "1 h",
      "1 d 1 h",
      "0 s",
    ]);
  });
});
