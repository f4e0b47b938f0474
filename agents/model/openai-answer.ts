/**
 * Gathers a streamed chat completion into one answer, within a size. What has come in so far stays readable when the
 * stream breaks, because it was paid for all the same.
 */
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { z } from "zod";
import { PartialReply } from "./partial-reply.ts";
import { trouble } from "./trouble.ts";

export interface StreamedUsage {
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
}

export interface StreamedAnswer {
  content: string;
  refusal: string;
  /** Null until the provider has said why it stopped: before that the answer is not whole. */
  finishReason: string | null;
  usage: StreamedUsage | null;
}

/** What is read of a chunk. Compatible servers leave out, or set to null, what they do not know. */
const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z
    .object({
      prompt_tokens: z.number().int().nonnegative(),
      completion_tokens: z.number().int().nonnegative(),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nonnegative().nullish() }).nullish(),
    })
    .nullish()
    .catch(null),
});

/** Characters of an answer at most: a step is a few thousand, a stream without end must not fill the memory. */
export const maxAnswerCharacters = 400_000;

/**
 * Adds all chunks to `answer`.
 * @throws {ModelError} `invalid_output` for what is no chunk or too long; the SDK's errors pass through.
 */
export async function gather(
  stream: AsyncIterable<ChatCompletionChunk>,
  answer: StreamedAnswer,
  onPartial: ((text: string) => void) | undefined,
): Promise<void> {
  const reply = new PartialReply();
  for await (const raw of stream) {
    const chunk = chunkSchema.safeParse(raw);
    if (!chunk.success) throw trouble("invalid_output", "the stream holds something that is no chunk");
    const { choices, usage } = chunk.data;
    if (usage) answer.usage = usageOf(usage);
    const choice = choices?.[0];
    if (choice === undefined) continue;
    const added = choice.delta?.content ?? "";
    answer.content += added;
    answer.refusal += choice.delta?.refusal ?? "";
    answer.finishReason = choice.finish_reason ?? answer.finishReason;
    if (answer.content.length + answer.refusal.length > maxAnswerCharacters) {
      throw trouble("invalid_output", `the answer has more than ${maxAnswerCharacters} characters`);
    }
    const grown = onPartial !== undefined && added !== "" ? reply.push(added) : null;
    if (grown !== null) show(onPartial, grown);
  }
}

/** Whoever watches must not be able to stop the call. */
function show(onPartial: ((text: string) => void) | undefined, text: string): void {
  try {
    onPartial?.(text);
  } catch {
    // A partial text is lost without harm; the committed reply is what counts.
  }
}

const usageOf = (usage: NonNullable<z.output<typeof chunkSchema>["usage"]>): StreamedUsage => ({
  inputTokens: usage.prompt_tokens,
  outputTokens: usage.completion_tokens,
  cachedInputTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
});
