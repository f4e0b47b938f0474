import { describe, expect, it } from "vitest";
import { type ChainCall, decideWithFallback, ModelChainError } from "../../../agents/model/chain.ts";
import { openCircuit } from "../../../agents/model/circuit.ts";
import { ModelError, type ModelErrorKind } from "../../../core/errors.ts";
import type { ModelRequest } from "../../../core/ports.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const request: ModelRequest = {
  agent: "demo",
  messages: [{ role: "user", content: "long" }],
  schema: {},
  schemaName: "s",
  maxOutputTokens: 10,
  context: null,
};
const shorter: ModelRequest = { ...request, messages: [{ role: "user", content: "short" }] };
const step = { intent: "reply", text: "Hi" };

const fails =
  (kind: ModelErrorKind, options: { retryable?: boolean; retryAfterMs?: number } = {}) =>
  () => {
    throw new ModelError(kind, `${kind} happened`, {
      retryable: true,
      usage: { inputTokens: 3, outputTokens: 1 },
      ...options,
    });
  };
const model = (name: string, ...script: (() => unknown)[]) =>
  scriptedModel((_, index) => script[Math.min(index, script.length - 1)]!(), { name });
const answers = () => ({ step });

const run = (call: Pick<ChainCall, "primary"> & Partial<ChainCall>) =>
  decideWithFallback({
    backup: null,
    request,
    compacted: () => shorter,
    signal: new AbortController().signal,
    timeoutMs: 1_000,
    ...call,
  });
const failed = async (call: Parameters<typeof run>[0]): Promise<ModelChainError> => {
  const error = await run(call).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ModelChainError);
  return error as ModelChainError;
};

describe("the chain of models", () => {
  it("asks the primary and nobody else while it answers", async () => {
    const backup = model("backup", answers);
    const shown: string[] = [];
    const result = await run({
      primary: model("main", answers),
      backup,
      onPartial: (text) => shown.push(text),
    });
    expect(result).toMatchObject({ stage: "primary", attempts: [], answer: { output: { step } } });
    expect(backup.requests).toEqual([]);
    expect(shown).toEqual(["Hi"]);
  });

  it.each([
    ...(["rate_limited", "server_error", "timeout", "unreachable", "broken_stream", "refusal"] as const),
    ...(["length", "content_filter", "unauthorized", "invalid_output", "bad_request"] as const),
  ])("turns to the backup at %s", async (kind) => {
    const result = await run({ primary: model("main", fails(kind)), backup: model("backup", answers) });
    expect(result).toMatchObject({
      stage: "backup",
      answer: { model: "backup" },
      attempts: [
        { stage: "primary", model: "main", kind, error: `${kind} happened`, usage: { inputTokens: 3 } },
      ],
    });
  });

  it("compacts when the context is too long and asks the same model again", async () => {
    const primary = model("main", fails("context_length"), answers);
    const backup = model("backup", answers);
    const result = await run({ primary, backup });
    expect(result).toMatchObject({ stage: "compacted", attempts: [{ kind: "context_length" }] });
    expect(primary.requests).toEqual([request, shorter]);
    expect(backup.requests).toEqual([]);
  });

  it("compacts once, and gives the compacted request to the backup", async () => {
    const primary = model("main", fails("context_length"));
    const backup = model("backup", fails("context_length"));
    let compactions = 0;
    const compacted = () => {
      compactions++;
      return shorter;
    };
    const error = await failed({ primary, backup, compacted });
    expect(compactions).toBe(1);
    expect(error.attempts.map(({ stage, model: name }) => [stage, name])).toEqual([
      ["primary", "main"],
      ["compacted", "main"],
      ["backup", "backup"],
    ]);
    expect(backup.requests).toEqual([shorter]);
  });

  it("compacts for the backup when only the backup's context is too short", async () => {
    const backup = model("backup", fails("context_length"), answers);
    const result = await run({ primary: model("main", fails("timeout")), backup });
    expect(result.stage).toBe("compacted");
    expect(result.attempts.map(({ kind }) => kind)).toEqual(["timeout", "context_length"]);
  });

  it("goes on without compacting when the request cannot get any shorter", async () => {
    const error = await failed({ primary: model("main", fails("context_length")), compacted: () => null });
    expect(error).toMatchObject({ kind: "context_length", attempts: [{ stage: "primary" }] });
  });

  it("ends in the last trouble, worth a retry when any attempt was, after the shortest wait", async () => {
    const primary = model("main", fails("rate_limited", { retryAfterMs: 4_000 }));
    const backup = model("backup", fails("unauthorized", { retryable: false }));
    const error = await failed({ primary, backup });
    expect(error).toMatchObject({ kind: "unauthorized", retryable: true, retryAfterMs: 4_000 });
    expect(error.attempts).toHaveLength(2);

    const hopeless = await failed({ primary: model("main", fails("refusal", { retryable: false })) });
    expect(hopeless).toMatchObject({ kind: "refusal", retryable: false, retryAfterMs: undefined });
  });

  it("passes on what is no model error, and the reason of a caller who gives up", async () => {
    const backup = model("backup", answers);
    const bug = () => {
      throw new TypeError("a bug");
    };
    await expect(run({ primary: model("main", bug), backup })).rejects.toThrow(TypeError);

    const controller = new AbortController();
    const givesUp = () => {
      controller.abort(new Error("stopping"));
      return fails("timeout")();
    };
    const signal = controller.signal;
    await expect(run({ primary: model("main", givesUp), backup, signal })).rejects.toThrow("stopping");
    const hangs = model("main", () => new Promise(() => {}));
    await expect(run({ primary: hangs, backup, signal: AbortSignal.timeout(20) })).rejects.toThrow(/timeout/);
    expect(backup.requests).toEqual([]);
  });
});

describe("the circuit", () => {
  it("leaves a primary alone that is down, and tries it again after the pause", async () => {
    let nowMs = 0;
    const circuit = openCircuit({ maxFailures: 2, pauseMs: 1_000, nowMs: () => nowMs });
    const primary = model(
      "main",
      fails("unreachable"),
      fails("server_error"),
      fails("unauthorized"),
      answers,
    );
    const call = { primary, backup: model("backup", answers), circuit };
    await run(call);
    await run(call);
    expect(await run(call)).toMatchObject({ stage: "backup", attempts: [] });
    expect(primary.requests).toHaveLength(2);

    nowMs = 1_000;
    expect((await run(call)).attempts).toHaveLength(1);
    expect(await run(call)).toMatchObject({ stage: "backup", attempts: [] });
    nowMs = 2_000;
    expect((await run(call)).stage).toBe("primary");
    expect((await run(call)).stage).toBe("primary");
    expect(primary.requests).toHaveLength(5);
  });

  it("still asks the primary when the backup fails, or when there is none", async () => {
    const circuit = openCircuit({ maxFailures: 1 });
    circuit.failed("unreachable");
    const primary = model("main", answers);
    const result = await run({ primary, backup: model("backup", fails("timeout")), circuit });
    expect(result).toMatchObject({ stage: "primary", attempts: [{ stage: "backup" }] });
    expect(circuit.allows()).toBe(true);

    circuit.failed("unreachable");
    expect(circuit.allows()).toBe(false);
    expect((await run({ primary, circuit })).stage).toBe("primary");
  });

  it("does not count trouble of a single request", () => {
    const circuit = openCircuit({ maxFailures: 2 });
    for (const kind of ["unreachable", "refusal", "unreachable", "length", "unreachable"] as const) {
      circuit.failed(kind);
    }
    expect(circuit.allows()).toBe(true);
  });
});
