/** A server that speaks the streamed chat completions API and answers with the steps of a script. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One answer: a step, or silence until the client is gone. */
export type ScriptedStep = Record<string, unknown> | "hang";

export interface ModelServer {
  readonly url: string;
  /** The user message of each request, oldest first. */
  readonly requests: string[];
  close(): Promise<void>;
}

export async function modelServer(
  script: (context: string, call: number) => ScriptedStep,
): Promise<ModelServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { messages: { content: string }[] };
      const context = body.messages.at(-1)?.content ?? "";
      requests.push(context);
      const step = script(context, requests.length);
      if (step !== "hang") answer(response, step);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, step: Record<string, unknown>): void {
  const content = JSON.stringify({ step: { reasoning: "as scripted", confidence: 0.9, ...step } });
  const chunk = (delta: unknown, finish: string | null) => ({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "scripted",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const usage = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
  const events = [
    chunk({ role: "assistant", content: "" }, null),
    chunk({ content }, null),
    chunk({}, "stop"),
    { ...chunk({}, null), choices: [], usage },
  ];
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of events) response.write(`data: ${JSON.stringify(event)}\n\n`);
  response.end("data: [DONE]\n\n");
}
