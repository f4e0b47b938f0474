/**
 * What `agents.settings.deploybot` in parley.yaml may say. Commands are lists of arguments that no shell ever reads;
 * a placeholder is an argument of its own, so that what it stands for can never become a second one.
 */
import { resolve } from "node:path";
import { z } from "zod";
import type { JsonObject } from "../../core/json.ts";
import { ProblemsError, schemaProblems } from "../runtime/problems.ts";

export const placeholders = ["service", "tag", "commit", "environment", "repository"] as const;
export type Placeholder = (typeof placeholders)[number];

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,39}$/, "must be lower case letters, digits, hyphens and underscores");

const argument = z.string().superRefine((text, context) => {
  const [, inner] = /^\{(\w+)\}$/.exec(text) ?? [];
  if (inner !== undefined && !placeholders.includes(inner as Placeholder)) {
    const known = placeholders.map((placeholder) => `{${placeholder}}`).join(", ");
    context.addIssue({ code: "custom", message: `{${inner}} is not a placeholder; known are ${known}` });
  }
  if (inner === undefined && /\{\w+\}/.test(text)) {
    context.addIssue({
      code: "custom",
      message: `"${text}" mixes a placeholder with text; make it an argument of its own`,
    });
  }
  if (text.includes("\0")) context.addIssue({ code: "custom", message: "must not contain a NUL character" });
});

const command = z
  .array(argument, "must be a list: the program, then each argument on its own")
  .min(1, "must name a program")
  .refine(([program]) => program !== undefined && program !== "" && !program.startsWith("{"), {
    error: "must begin with a program, not with a placeholder",
  });

const environment = z.strictObject({
  command,
  /** What rolls back; the same command with the older tag when it is not given. */
  rollback: command.optional(),
  approval: z
    .string("must be a policy's name, or null when nobody has to approve")
    .min(1, "must be a policy's name, or null when nobody has to approve")
    .nullable(),
});

const settingsSchema = z.strictObject({
  services: z
    .record(name, z.strictObject({ repository: z.string("must be the path of a git repository").min(1) }))
    .refine((services) => Object.keys(services).length > 0, { error: "must name at least one service" }),
  environments: z.record(name, environment).refine((environments) => Object.keys(environments).length > 0, {
    error: "must name at least one environment",
  }),
  /** A command that runs longer is stopped and counts as failed. */
  timeoutMs: z
    .number()
    .int()
    .min(1_000)
    .max(6 * 60 * 60_000)
    .default(10 * 60_000),
  /** True when every command does nothing the second time it sees the same PARLEY_IDEMPOTENCY_KEY. */
  commandsHonourKey: z.boolean().default(false),
});
export type Settings = z.infer<typeof settingsSchema>;
export type Environment = Settings["environments"][string];

/**
 * Parses the section; relative repositories start at the folder of parley.yaml.
 * @throws {ProblemsError} that lists everything that is wrong.
 */
export function parseSettings(section: JsonObject, configFolder: string): Settings {
  const parsed = settingsSchema.safeParse(section);
  if (!parsed.success) throw new ProblemsError(schemaProblems(parsed.error, "agents.settings.deploybot"));
  const services = Object.entries(parsed.data.services).map(([service, { repository }]) => [
    service,
    { repository: resolve(configFolder, repository) },
  ]);
  return { ...parsed.data, services: Object.fromEntries(services) };
}
