/** The steps that the bundled agents' stand-ins answer with, and careful reading of what tools returned. Pure. */
import type { Json, JsonObject } from "../../core/json.ts";
import type { OfflineStep } from "../agent.ts";

const head = { reasoning: "A fixed rule of the offline stand-in applies.", confidence: 1 };

export const reply = (text: string): OfflineStep => ({ intent: "reply", ...head, text });

export const call = (tool: string, args: JsonObject): OfflineStep => ({ intent: tool, ...head, args });

export const gather = (calls: { tool: string; args: JsonObject }[]): OfflineStep => ({
  intent: "gather",
  ...head,
  calls,
});

export const handoff = (to: string, reason: string, text: string): OfflineStep => ({
  intent: "handoff",
  ...head,
  to,
  reason,
  text,
});

/** The members of an object; none of anything else. */
export const fields = (value: Json | undefined): JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};

export const items = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.map(fields) : [];

export const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");

export const number = (value: Json | undefined): number => (typeof value === "number" ? value : 0);
