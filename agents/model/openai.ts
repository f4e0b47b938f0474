/**
 * The model port over the `openai` SDK: one streamed chat completion for each decision, at any compatible base URL.
 * It keeps nothing that matters: a crash in mid-call loses the answer, and the loop asks again from the log.
 */
import OpenAI, { type ClientOptions } from "openai";
import { ModelError } from "../../core/errors.ts";
import type { Model, ModelAnswer, ModelRequest } from "../../core/ports.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { gather, maxAnswerCharacters, type StreamedAnswer, type StreamedUsage } from "./openai-answer.ts";
import { bodyFor, type Dialect, maxSimplifications, openAiDialect, simpler } from "./openai-dialect.ts";
import { troubleOf } from "./openai-trouble.ts";
import { costUsdOf, type PriceOverrides } from "./prices.ts";
import { countTokens } from "./tokens.ts";
import { trouble } from "./trouble.ts";

export interface OpenAiModelOptions {
  /** How the model is called in the log and the console. */
  name: string;
  /** What the provider calls it. */
  model: string;
  apiKey: string;
  baseUrl?: string | undefined;
  prices?: PriceOverrides | undefined;
  /** Silence at most, once the answer has begun. Default 30 s. */
  idleTimeoutMs?: number | undefined;
}

type DecideOptions = Parameters<Model["decide"]>[1];

const defaultIdleTimeoutMs = 30_000;

/** Server-sent events put some 200 bytes around each token; headers and keep-alives come on top. */
const maxResponseBytes = maxAnswerCharacters * 100;

export function openAiModel(options: OpenAiModelOptions): Model {
  const call = completionCall(options);
  let dialect = openAiDialect;
  return {
    name: options.name,
    offline: false,
    async decide(request, decideOptions) {
      const startedAt = performance.now();
      const idleTimeoutMs = options.idleTimeoutMs ?? defaultIdleTimeoutMs;
      decideOptions.signal.throwIfAborted();
      const deadline = startDeadline(decideOptions.signal, decideOptions.timeoutMs, idleTimeoutMs);
      const asked: Asked = { request, decideOptions, deadline, answer: emptyAnswer(), begun: false };
      try {
        dialect = await askInDialect(call, asked, dialect);
        decideOptions.signal.throwIfAborted();
        const output = outputOf(asked.answer, dialect);
        const usage = await usageOf(asked);
        return await finished(options, { output, usage, startedAt });
      } catch (error) {
        throw await whatWentWrong(error, asked, options);
      } finally {
        deadline.end();
      }
    },
  };
}

/** One decision on its way. */
interface Asked {
  readonly request: ModelRequest;
  readonly decideOptions: DecideOptions;
  readonly deadline: Deadline;
  readonly answer: StreamedAnswer;
  /** The provider has accepted the request: from here on it costs. */
  begun: boolean;
}

type Call = (asked: Asked, dialect: Dialect) => Promise<void>;

const emptyAnswer = (): StreamedAnswer => ({ content: "", refusal: "", finishReason: null, usage: null });

/**
 * The environment must not speak for the configuration (the SDK would read it), and the SDK must not log: at its
 * debug level it prints bodies.
 */
function completionCall({ model, apiKey, baseUrl }: OpenAiModelOptions): Call {
  const fixed = {
    apiKey,
    baseURL: baseUrl ?? "https://api.openai.com/v1",
    adminAPIKey: null,
    organization: null,
    project: null,
    maxRetries: 0,
    logLevel: "off",
  } satisfies ClientOptions;
  return async (asked, dialect) => {
    const { deadline, decideOptions, request } = asked;
    const client = new OpenAI({ ...fixed, fetch: boundedFetch(deadline) });
    const stream = await client.chat.completions.create(bodyFor(model, request, dialect), {
      signal: deadline.signal,
      timeout: decideOptions.timeoutMs,
    });
    asked.begun = true;
    await gather(stream, asked.answer, decideOptions.onPartial);
  };
}

/** Counts what comes in, before the SDK buffers a line or an error body of any length. */
function boundedFetch(deadline: Deadline): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.body === null) return response;
    let bytes = 0;
    const counted = response.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          deadline.alive();
          bytes += chunk.byteLength;
          if (bytes <= maxResponseBytes) controller.enqueue(chunk);
          else
            controller.error(trouble("invalid_output", `the answer has more than ${maxResponseBytes} bytes`));
        },
      }),
    );
    return new Response(counted, response);
  };
}

/** Asks, and where the server refuses a member of the request by name, asks without it. Returns what it understood. */
async function askInDialect(call: Call, asked: Asked, known: Dialect): Promise<Dialect> {
  let dialect = known;
  for (let tries = 0; ; tries++) {
    try {
      await call(asked, dialect);
      return dialect;
    } catch (error) {
      if (isWhole(asked)) return dialect;
      const next = asked.begun || tries >= maxSimplifications ? null : simpler(dialect, error);
      if (next === null) throw error;
      dialect = next;
    }
  }
}

/** All that is missing after the finish reason is the usage: not worth losing an answer for. */
const isWhole = ({ answer, deadline }: Asked): boolean =>
  answer.finishReason !== null && deadline.cutOff() !== "caller";

function outputOf(answer: StreamedAnswer, dialect: Dialect): unknown {
  if (answer.refusal !== "") throw trouble("refusal", "the model refused");
  switch (answer.finishReason) {
    case null:
      throw trouble("broken_stream", "the stream ended before the answer did");
    case "length":
      throw trouble("length", "the answer reached the token limit");
    case "content_filter":
      throw trouble("content_filter", "the provider's filter cut the answer");
  }
  const text = dialect.answerForm === "json_schema" ? answer.content : withoutFence(answer.content);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parse error quotes the answer, which does not belong in a log.
    throw trouble("invalid_output", `the answer is not JSON (${text.length} characters)`);
  }
}

/** Models that are only told of a schema like to put their JSON into a Markdown fence. */
const withoutFence = (text: string): string =>
  /^\s*```(?:json)?\s*([\s\S]*?)\s*```\s*$/.exec(text)?.[1] ?? text;

/** As the provider counted, or else as we count. */
async function usageOf({ answer, request }: Asked): Promise<StreamedUsage> {
  if (answer.usage !== null) return answer.usage;
  const prompt = request.messages.map((message) => message.content).join("\n");
  return {
    inputTokens: await countTokens(prompt),
    outputTokens: await countTokens(answer.content + answer.refusal),
    cachedInputTokens: 0,
  };
}

async function finished(
  { model, baseUrl, prices }: OpenAiModelOptions,
  { output, usage, startedAt }: { output: unknown; usage: StreamedUsage; startedAt: number },
): Promise<ModelAnswer> {
  const { inputTokens, outputTokens } = usage;
  const costUsd = await costUsdOf({ model, baseUrl, ...usage }, prices);
  return { output, model, inputTokens, outputTokens, costUsd, latencyMs: performance.now() - startedAt };
}

/** The caller's own reason when the caller gave up, a ModelError otherwise. */
async function whatWentWrong(error: unknown, asked: Asked, options: OpenAiModelOptions): Promise<unknown> {
  const { begun, deadline, decideOptions } = asked;
  if (decideOptions.signal.aborted) return decideOptions.signal.reason;
  const cut = deadline.cutOff() !== null && asked.answer.finishReason === null;
  const found = cut ? limitReached(deadline, decideOptions) : null;
  const phase = begun ? "answering" : "asking";
  const mapped = found ?? troubleOf(error, { phase, secret: options.apiKey, nowMs: Date.now() });
  if (!begun || mapped.usage !== undefined) return mapped;
  const usage = await usageOf(asked);
  const { inputTokens, outputTokens } = usage;
  const { model, baseUrl, prices } = options;
  const costUsd = await costUsdOf({ model, baseUrl, ...usage }, prices);
  return new ModelError(mapped.kind, mapped.message, {
    retryable: mapped.retryable,
    ...(mapped.retryAfterMs === undefined ? {} : { retryAfterMs: mapped.retryAfterMs }),
    cause: mapped.cause,
    usage: { inputTokens, outputTokens, costUsd },
  });
}

function limitReached(deadline: Deadline, { timeoutMs }: DecideOptions): ModelError {
  return deadline.cutOff() === "idle"
    ? trouble("timeout", "the model fell silent in the middle of its answer")
    : trouble("timeout", `no whole answer within ${timeoutMs} ms`);
}
