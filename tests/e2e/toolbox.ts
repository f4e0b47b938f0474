/** An agent of a user's own, written into a folder: tools of each effect that note in a ledger file what they do. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes `parley.yaml` and the agents folder into `folder`. @returns the ledger file. */
export function layToolbox(folder: string): string {
  const ledger = join(folder, "ledger");
  mkdirSync(join(folder, "agents/toolbox"), { recursive: true });
  mkdirSync(join(folder, "agents/prompts/toolbox"), { recursive: true });
  writeFileSync(join(folder, "agents/toolbox/agent.ts"), agentSource(ledger));
  writeFileSync(
    join(folder, "agents/prompts/toolbox/v1.md"),
    "You have tools. Use them when you are asked to.\n",
  );
  writeFileSync(join(folder, "agents/prompts/index.yaml"), "toolbox:\n  active: [v1]\n");
  writeFileSync(
    join(folder, "parley.yaml"),
    `agents: { default: toolbox, path: ./agents, enabled: [toolbox] }
people: [{ id: admin, name: Admin, roles: [admin], identities: ["web:admin"] }]
policies: { people: { roles: [admin] } }
`,
  );
  return ledger;
}

const agentSource = (ledger: string): string => `
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export default ({ defineAgent, defineTool, z }) => {
  const tool = (name, effect, approval) =>
    defineTool({
      name,
      description: "Does " + name + ".",
      input: z.object({ what: z.string(), ms: z.number().int().min(0).max(60000) }),
      effect,
      approval,
      timeoutMs: 60_000,
      async run({ what, ms }, { signal, idempotencyKey, attempt }) {
        appendFileSync(${JSON.stringify(ledger)}, ["begin", name, what, idempotencyKey, attempt].join(" ") + "\\n");
        if (ms > 0) await sleep(ms, undefined, { signal });
        appendFileSync(${JSON.stringify(ledger)}, ["end", name, what, idempotencyKey, attempt].join(" ") + "\\n");
        return { did: what };
      },
    });
  return defineAgent("toolbox", () => ({
    description: "Has a tool of each kind.",
    tools: [tool("look", "read", null), tool("keyed", "keyed", null), tool("once", "once", null), tool("guarded", "once", "people")],
  }));
};
`;
