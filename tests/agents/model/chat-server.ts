/** A real HTTP server that answers chat completions exactly as a test says, down to the byte and the cut. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ChatRequest {
  headers: IncomingMessage["headers"];
  body: Record<string, unknown> & { messages: { role: string; content: string }[] };
}

export type Behaviour = (response: ServerResponse, request: ChatRequest, callIndex: number) => unknown;

export interface ChatServer {
  readonly baseUrl: string;
  readonly requests: ChatRequest[];
  behave(behaviour: Behaviour): void;
  stop(): Promise<void>;
}

export async function startChatServer(): Promise<ChatServer> {
  const requests: ChatRequest[] = [];
  let behaviour: Behaviour = (response) => response.writeHead(500).end();
  const server = createServer(async (message, response) => {
    let text = "";
    for await (const piece of message.setEncoding("utf8")) text += piece;
    const request: ChatRequest = { headers: message.headers, body: JSON.parse(text) };
    requests.push(request);
    behaviour(response, request, requests.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    behave: (next) => {
      behaviour = next;
      requests.length = 0;
    },
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export const jsonError = (status: number, error: object, headers: Record<string, string> = {}): Behaviour => {
  return (response) =>
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify({ error }));
};

/** One server-sent event for each delta, then the finish reason, the usage and the end, as far as they are given. */
export interface Streamed {
  deltas: { content?: string; refusal?: string }[];
  finish?: string | null;
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  done?: boolean;
}

export const streamed = (parts: Streamed): Behaviour => {
  return (response) => {
    begin(response);
    for (const delta of parts.deltas)
      response.write(chunk({ choices: [{ index: 0, delta, finish_reason: null }] }));
    const finish = parts.finish === undefined ? "stop" : parts.finish;
    if (finish !== null) {
      response.write(chunk({ choices: [{ index: 0, delta: {}, finish_reason: finish }] }));
    }
    if (parts.usage) response.write(chunk({ choices: [], usage: parts.usage }));
    response.end(parts.done === false ? "" : "data: [DONE]\n\n");
  };
};

export const begin = (response: ServerResponse): ServerResponse =>
  response.writeHead(200, { "content-type": "text/event-stream" });

export const chunk = (members: object): string =>
  `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "m", ...members })}\n\n`;

export const contentChunk = (content: string): string =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });

export const pieces = (text: string, characters = 7): { content: string }[] =>
  (text.match(new RegExp(`[\\s\\S]{1,${characters}}`, "g")) ?? []).map((content) => ({ content }));

export const replyJson = (text: string): string =>
  JSON.stringify({ step: { intent: "reply", reasoning: "asked", confidence: 0.9, text } });
