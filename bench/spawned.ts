/** `parley start` as its users run it, in a folder of its own, and a client that asks it over HTTP. */
import { mkdirSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { type Home, home, type RunningParley, token } from "../tests/e2e/parley.ts";

const agentSource = `
export default ({ defineAgent }) =>
  defineAgent("echo", () => ({
    description: "Answers at once.",
    tools: [],
    offline: ({ message }) => ({ intent: "reply", text: message, reasoning: "bench", confidence: 1 }),
  }));
`;

/** A folder whose only agent repeats, without a model, what it was told. */
export async function echoHome(env: Record<string, string> = {}): Promise<Home> {
  const place = await home({ PARLEY_LOG_LEVEL: "warn", ...env });
  mkdirSync(join(place.folder, "agents/echo"), { recursive: true });
  mkdirSync(join(place.folder, "agents/prompts/echo"), { recursive: true });
  writeFileSync(join(place.folder, "agents/echo/agent.ts"), agentSource);
  writeFileSync(join(place.folder, "agents/prompts/echo/v1.md"), "Answer.\n");
  writeFileSync(join(place.folder, "agents/prompts/index.yaml"), "echo:\n  active: [v1]\n");
  writeFileSync(
    join(place.folder, "parley.yaml"),
    "agents: { default: echo, path: ./agents, enabled: [echo] }\nlogs: { level: warn }\n",
  );
  return place;
}

export interface Answer {
  status: number;
  body: string;
}

/** Keeps its connections, as a platform's servers do. `fetch` would cost the machine more than the program under test. */
export function httpClient({ url }: Pick<RunningParley, "url">, connections: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return {
    call: (method: string, path: string, body?: unknown): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const asked = request(`${url}${path}`, { method, agent, headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk) => chunks.push(chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
          );
          response.on("error", reject);
        });
        asked.on("error", reject);
        asked.end(body === undefined ? undefined : JSON.stringify(body));
      }),
    close: () => agent.destroy(),
  };
}
