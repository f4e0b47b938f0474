/** A person may change what a tool call says before approving it; the tool's own schema has the last word. */
import type { Agent } from "../agents/agent.ts";
import { RefusedError } from "../core/errors.ts";
import { type JsonObject, jsonObjectSchema } from "../core/json.ts";

/** @throws {RefusedError} that names each argument that does not fit. */
export function checkEdit(
  agents: ReadonlyMap<string, Agent>,
  { agent, tool, args }: { agent: string; tool: string; args: JsonObject },
): JsonObject {
  const known = agents.get(agent)?.tools.find(({ name }) => name === tool);
  if (known === undefined) {
    throw new RefusedError("conflict", `The agent ${agent} has no tool ${tool} any more.`, {
      operation: "edit approval",
    });
  }
  const parsed = known.input.safeParse(args);
  if (parsed.success) return jsonObjectSchema.parse(JSON.parse(JSON.stringify(parsed.data)));
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${path.join(".") || "arguments"}: ${message}`,
  );
  throw new RefusedError("invalid", problems.join("; "), { operation: "edit approval", cause: parsed.error });
}
