/**
 * What a user's own agent is built with. It is handed to a definition written as a function, and it is what the package
 * exports as `parley/agent`.
 */
import { z } from "zod";
import { defineAgent, defineTool } from "./agent.ts";

export type {
  Agent,
  AgentDefinition,
  AgentEnvironment,
  OfflineStep,
  OfflineView,
  Tool,
  ToolContext,
} from "./agent.ts";
export { defineAgent, defineTool, z };

export const agentKit = Object.freeze({ defineAgent, defineTool, z });
export type AgentKit = typeof agentKit;
