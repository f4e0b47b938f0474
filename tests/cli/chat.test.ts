import { describe, expect, it } from "vitest";
import { readLine, type Waiting } from "../../cli/chat/line.ts";
import { readServerEvents, type ServerEvent } from "../../cli/event-stream.ts";
import { startFakeParley, token } from "./fake-parley.ts";
import { launch, parley } from "./parley.ts";

const remote = (url: string) => ["--url", url, "--token", token];

describe("parley chat with piped input", () => {
  it("sends a line, prints the reply and ends", async () => {
    const server = await startFakeParley();
    const { code, out, err } = await parley(["chat", ...remote(server.url)], { input: "hello\n\nagain" });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe("deploybot: You said: hello\ndeploybot: You said: again\n");
    const keys = server.requests.flatMap(({ body }) => body.idempotencyKey ?? []);
    expect(new Set(keys).size).toBe(2);
  });

  it("shows what would run, approves it, and prints what came of it", async () => {
    const server = await startFakeParley();
    server.proposal = { service: "backend", note: "a\u202eb\u200bc\n" };
    const { code, out } = await parley(["chat", ...remote(server.url)], { input: "deploy backend\na\n" });
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "Approval needed (CODE01)
        tool  deploy
          service  "backend"
          note     "a\\u{202e}b\\u{200b}c\\n"
        policy  deploys
        digest  0123456789ab
        a approve | r REASON reject | e NAME=VALUE edit | b QUESTION ask back
      * Approved by Admin
      deploybot: Deployed {"service":"backend","note":"a\\u{202e}b\\u{200b}c\\n"}
      "
    `);
    expect(server.approvals[0]?.status).toBe("approved");
  });

  it("rejects with a reason that the agent answers to", async () => {
    const server = await startFakeParley();
    const { out } = await parley(["chat", ...remote(server.url)], {
      input: "deploy it\nr not on a Friday\n",
    });
    expect(out).toContain("Rejected by Admin: not on a Friday");
    expect(out).toContain("deploybot: Not deployed: not on a Friday");
  });

  it("approves with edited arguments after showing them", async () => {
    const server = await startFakeParley();
    const { out } = await parley(["chat", ...remote(server.url)], { input: "deploy it\ne tag=v1.4.3\n" });
    const decision = server.requests.find(({ path }) => path.endsWith("/decision"));
    expect(decision?.body).toEqual({ verdict: "edit", args: { service: "backend", tag: "v1.4.3" } });
    expect(out).toContain("Approving with:");
    expect(out).toContain('Deployed {"service":"backend","tag":"v1.4.3"}');
  });

  it("goes on with a thread: shows what was said and decides what waits there", async () => {
    const server = await startFakeParley();
    await parley(["chat", ...remote(server.url)], { input: "deploy it\n" });
    const { out } = await parley(["chat", "--thread", "thread-1", ...remote(server.url)], { input: "a\n" });
    expect(out).toMatch(/^Admin: deploy it\nApproval needed \(CODE01\)/);
    expect(out).toContain("deploybot: Deployed");
  });

  it("comes back after the connection broke, without losing or repeating a line", async () => {
    const server = await startFakeParley();
    const chat = launch(["chat", ...remote(server.url)]);
    chat.child.stdin.write("one\n");
    await expect.poll(chat.output, { timeout: 10_000 }).toContain("You said: one");
    server.dropStreams();
    chat.child.stdin.end("two\n");
    const { code, out, err } = await chat.ended;
    expect(code).toBe(0);
    expect(out).toBe("deploybot: You said: one\ndeploybot: You said: two\n");
    expect(err).toBe("The connection is lost; trying again.\nConnected again.\n");
  });

  it("ends cleanly on Ctrl-C", async () => {
    const server = await startFakeParley();
    const chat = launch(["chat", ...remote(server.url)]);
    chat.child.stdin.write("deploy it\n");
    await expect.poll(chat.output, { timeout: 10_000 }).toContain("CODE01");
    chat.child.kill("SIGINT");
    expect(await chat.ended).toMatchObject({ code: 0, err: "" });
  });

  it("prints events as JSON lines with --json", async () => {
    const server = await startFakeParley();
    const { out } = await parley(["chat", "--json", ...remote(server.url)], { input: "hello\n" });
    const types = out
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types.slice(0, 2)).toEqual(["thread_started", "message_received"]);
    expect(types).toContain("reply_committed");
  });

  it.each([
    ["no server", ["--url", "http://127.0.0.1:9", "--token", token], 3],
    ["an address that is none", ["--url", "nonsense"], 2],
    ["an unknown thread", ["--thread", "nope"], 4],
    ["a wrong token", ["--token", "wrong"], 4],
  ])("with %s ends with its own code", async (_, args, expected) => {
    const server = await startFakeParley();
    const given = args.includes("--url") ? args : [...remote(server.url), ...args];
    const { code, err } = await parley(["chat", ...given], { input: "hello\n" });
    expect(code).toBe(expected);
    expect(err).not.toContain("    at ");
  });
});

const one: Waiting = { approvalId: "1", code: "K7P2QX", tool: "deploy", args: { tag: "v1", n: 1 } };
const two: Waiting = { ...one, approvalId: "2", code: "ABCDEF" };

describe("a typed line", () => {
  it.each([
    ["a", [one], { kind: "decide", verdict: "approve" }],
    ["A k7p2qx", [one, two], { kind: "decide", verdict: "approve", approval: one }],
    ["/approve", [one], { kind: "decide", verdict: "approve" }],
    ["a question: is it safe?", [one], { kind: "message", text: "a question: is it safe?" }],
    ["a", [], { kind: "message", text: "a" }],
    ["yes", [one], { kind: "message", text: "yes" }],
    ["approve", [one], { kind: "message", text: "approve" }],
    ["a", [one, two], { kind: "wrong" }],
    ["a nocode", [one, two], { kind: "message" }],
    ["r", [one], { kind: "wrong" }],
    ["r too late", [one], { kind: "decide", verdict: "reject", reason: "too late" }],
    ["r ABCDEF too late", [one, two], { kind: "decide", approval: two, reason: "too late" }],
    ["b who asked?", [one], { kind: "decide", verdict: "ask_back", reason: "who asked?" }],
    ["e tag=v2 n=2", [one], { kind: "decide", verdict: "edit", args: { tag: "v2", n: 2 } }],
    ["e tag=two words", [one], { kind: "decide", verdict: "edit", args: { tag: "two words", n: 1 } }],
    ['e {"tag":null}', [one], { kind: "decide", verdict: "edit", args: { tag: null, n: 1 } }],
    ["e nothing", [one], { kind: "wrong" }],
    ["/quit", [one], { kind: "quit" }],
    ["  ", [one], { kind: "nothing" }],
  ])("%j means %o %o", (line, waiting, expected) => {
    expect(readLine(line, waiting)).toMatchObject(expected);
  });
});

it("reads server-sent events however the bytes are cut", async () => {
  const bytes = new TextEncoder().encode(
    'retry: 1\r\n\r\n: hi\nid: 1\nevent: event\ndata: {"a":\ndata:"ü"}\r\n\r\ndata: x\n\n',
  );
  for (const size of [1, 2, 7, 1_000]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.slice(index * size, (index + 1) * size),
    );
    const events: ServerEvent[] = [];
    for await (const event of readServerEvents(ReadableStream.from(chunks))) events.push(event);
    expect(events).toEqual([
      { event: "event", data: '{"a":\n"ü"}' },
      { event: "message", data: "x" },
    ]);
  }
});
