/** A person may change what a tool call says before approving it; the tool's own schema has the last word. */
import type { Agent, Tool } from "../agents/agent.ts";
import { RefusedError } from "../core/errors.ts";
import { type JsonObject, jsonObjectSchema } from "../core/json.ts";
import type { Approval } from "../store/approvals.ts";
import { json } from "../store/log.ts";

/** The approval that is edited, as far as it matters here. */
type Edited = Pick<Approval, "agent" | "tool" | "policy">;

/**
 * Arguments that would need another policy are refused: whoever may approve a small refund must not make it a large one.
 * @throws {RefusedError} that names each argument that does not fit.
 */
export function checkEdit(
  agents: ReadonlyMap<string, Agent>,
  { agent, tool, policy }: Edited,
  args: JsonObject,
): JsonObject {
  const known = agents.get(agent)?.tools.find(({ name }) => name === tool);
  if (known === undefined) {
    throw new RefusedError("conflict", `The agent ${agent} has no tool ${tool} any more.`, {
      operation: "edit approval",
    });
  }
  const parsed = known.input.safeParse(args);
  if (parsed.success) {
    requireSamePolicy(known, policy.name, parsed.data);
    return jsonObjectSchema.parse(JSON.parse(json(parsed.data)));
  }
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${path.join(".") || "arguments"}: ${message}`,
  );
  throw new RefusedError("invalid", problems.join("; "), { operation: "edit approval", cause: parsed.error });
}

function requireSamePolicy({ approval }: Tool, policy: string, args: Record<string, unknown>): void {
  const needed = typeof approval === "function" ? approval(args) : approval;
  if (needed === null || needed === policy) return;
  throw new RefusedError(
    "conflict",
    `With these arguments it needs an approval by the policy "${needed}", and this one is by "${policy}". Reject it and ask for what you want.`,
    { operation: "edit approval" },
  );
}
