/**
 * What one compatible server turned out to understand. Every server is asked in OpenAI's own words first; one that
 * refuses a member by name is asked again without it, and the lesson is kept for as long as the program runs. Losing
 * it costs one refused request.
 */
import { APIError } from "openai";
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { ModelRequest } from "../../core/ports.ts";

export interface Dialect {
  readonly answerForm: "json_schema" | "json_object" | "words";
  readonly usageInStream: boolean;
  readonly tokenLimit: "max_completion_tokens" | "max_tokens";
}

export const openAiDialect: Dialect = {
  answerForm: "json_schema",
  usageInStream: true,
  tokenLimit: "max_completion_tokens",
};

/** How many steps down a server can be taken: two answer forms, the usage, the token limit. */
export const maxSimplifications = 4;

/** The dialect without the member that the server refused, or null when the refusal is about something else. */
export function simpler(dialect: Dialect, error: unknown): Dialect | null {
  if (!(error instanceof APIError) || (error.status !== 400 && error.status !== 422)) return null;
  if (names(error, "response_format")) {
    if (dialect.answerForm === "json_schema") return { ...dialect, answerForm: "json_object" };
    if (dialect.answerForm === "json_object") return { ...dialect, answerForm: "words" };
  }
  if (names(error, "stream_options") && dialect.usageInStream) return { ...dialect, usageInStream: false };
  if (names(error, "max_completion_tokens") && dialect.tokenLimit === "max_completion_tokens") {
    return { ...dialect, tokenLimit: "max_tokens" };
  }
  return null;
}

/** By `param`. Servers that have no such member name ours in the body, and that is the only sign there is. */
function names(error: APIError, member: string): boolean {
  if (typeof error.param === "string" && error.param !== "") {
    return error.param === member || error.param.startsWith(`${member}.`);
  }
  return error.message.includes(member);
}

export function bodyFor(
  model: string,
  request: ModelRequest,
  dialect: Dialect,
): ChatCompletionCreateParamsStreaming {
  return {
    model,
    messages: dialect.answerForm === "json_schema" ? [...request.messages] : messagesWithSchema(request),
    stream: true,
    [dialect.tokenLimit]: request.maxOutputTokens,
    ...answerForm(request, dialect),
    ...(dialect.usageInStream ? { stream_options: { include_usage: true } } : {}),
  };
}

function answerForm(
  { schema, schemaName }: ModelRequest,
  dialect: Dialect,
): Pick<ChatCompletionCreateParamsStreaming, "response_format"> {
  if (dialect.answerForm === "words") return {};
  if (dialect.answerForm === "json_object") return { response_format: { type: "json_object" } };
  return {
    response_format: { type: "json_schema", json_schema: { name: schemaName, strict: true, schema } },
  };
}

/** The schema goes into the first system message: some servers' templates know only one, and only at the start. */
function messagesWithSchema({ messages, schema }: ModelRequest): ModelRequest["messages"][number][] {
  const words = `Answer with one JSON object and nothing else. It must match this JSON schema:\n${JSON.stringify(schema)}`;
  const [first, ...rest] = messages;
  return first?.role === "system"
    ? [{ role: "system", content: `${first.content}\n\n${words}` }, ...rest]
    : [{ role: "system", content: words }, ...messages];
}
