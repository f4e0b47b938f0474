/** What `agents.settings.support` in parley.yaml may say. */
import { resolve } from "node:path";
import { z } from "zod";
import type { JsonObject } from "../../core/json.ts";
import { ProblemsError, schemaProblems } from "../runtime/problems.ts";

const settingsSchema = z.strictObject({
  /** How the agent speaks of the business. */
  shop: z.string().min(1).max(100),
  /** The folder of Markdown articles. */
  articles: z.string("must be the path of a folder of Markdown files").min(1),
  /** A text search configuration of Postgres: its stemming and stop words. */
  language: z
    .string()
    .regex(/^[a-z_]{1,40}$/, "must be the name of a text search configuration, like english")
    .default("english"),
  /** Refunds that bring an order above this, in the order's currency, go by `refundPolicy`. */
  refundLimit: z
    .number()
    .min(0)
    .max(1_000_000)
    .refine((amount) => Math.abs(amount * 100 - Math.round(amount * 100)) < 1e-6, {
      error: "must have two decimals at most",
    })
    .default(50),
  refundPolicy: z.string().min(1).default("refunds"),
});
export type Settings = Omit<z.infer<typeof settingsSchema>, "refundLimit"> & { refundLimitCents: number };

/** @throws {ProblemsError} that lists everything that is wrong. */
export function parseSettings(section: JsonObject, configFolder: string): Settings {
  const parsed = settingsSchema.safeParse(section);
  if (!parsed.success) throw new ProblemsError(schemaProblems(parsed.error, "agents.settings.support"));
  const { refundLimit, ...rest } = parsed.data;
  return {
    ...rest,
    articles: resolve(configFolder, rest.articles),
    refundLimitCents: Math.round(refundLimit * 100),
  };
}
