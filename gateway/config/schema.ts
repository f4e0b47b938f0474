/**
 * What parley.yaml may hold. Strict everywhere: an unknown key is a mistake with a suggestion, never ignored, because a
 * misspelt policy that is silently left out would let things through.
 */
import { z } from "zod";
import { assuranceSchema } from "../../core/words.ts";
import { choiceOf } from "./did-you-mean.ts";
import { durationSchema } from "./duration.ts";

/** An object that knows its keys well enough to suggest the one that was meant. One line for each unknown key. */
function section<S extends z.ZodRawShape>(shape: S) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? (issue.keys as string[])
            .map((key) => `unknown key "${key}": ${choiceOf(key, Object.keys(shape))}`)
            .join("\n")
        : undefined,
  });
}

const name = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,79}$/, {
  error: "must be a name of lower-case letters, digits, dots, dashes and underscores",
});
const positive = z.number().int().positive();
const someOf = <T extends z.ZodType>(each: T) =>
  z
    .union([each, z.array(each).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[]);

/** `channel:identity` or `channel:account:identity`. Only the identity may hold further colons. */
const identitySchema = z
  .string()
  .regex(/^[a-z0-9-]+:[^\s].*$/, { error: "must look like channel:identity or channel:account:identity" })
  .transform((text) => {
    const [channel = "", second = "", ...rest] = text.split(":");
    return rest.length === 0
      ? { channel, account: null, identity: second }
      : { channel, account: second, identity: rest.join(":") };
  })
  .refine(({ identity }) => identity !== "", { error: "must end in an identity" });

const senderPatternSchema = z.union(
  [
    z
      .string()
      .regex(/^person:.+$/)
      .transform((text) => ({ person: text.slice("person:".length) })),
    identitySchema,
  ],
  { error: 'must look like "person:ann", "email:*@example.com" or "slack:T01:U02"' },
);

const keyword = z.string().regex(/[\p{L}\p{N}]/u, { error: "must have a letter or a digit in it" });

const routeSchema = section({
  match: section({
    channel: someOf(name).optional(),
    room: someOf(z.string()).optional(),
    sender: someOf(senderPatternSchema).optional(),
    keyword: someOf(keyword).optional(),
    command: someOf(z.string().regex(/^\/?[^\s/]+$/, { error: "must be one word, like /deploy" })).optional(),
  }),
  agent: name,
});

const accessSchema = section({
  channel: name.optional(),
  account: z.string().optional(),
  room: z.string().optional(),
  kinds: z
    .array(z.enum(["human", "guest", "external", "bot"]))
    .min(1)
    .optional(),
  senders: z.array(senderPatternSchema).min(1).optional(),
  allow: z.boolean(),
});

const personSchema = section({
  id: name,
  name: z.string().min(1).max(200),
  roles: z.array(name).default([]),
  identities: z.array(identitySchema).default([]),
});

const policySchema = section({
  people: z.array(name).default([]),
  roles: z.array(name).default([]),
  quorum: positive.max(10).default(1),
  notRequester: z.boolean().default(false),
  minimumAssurance: assuranceSchema.default("weak"),
  expiresAfter: durationSchema.optional(),
  atExpiry: z.enum(["deny", "wait", "escalate"]).default("deny"),
  escalateTo: z.array(name).default([]),
});

const budgetSchema = section({ tokens: positive.optional(), usd: z.number().positive().optional() });

const priceSchema = section({
  inputUsdPerMillion: z.number().nonnegative(),
  outputUsdPerMillion: z.number().nonnegative(),
});

export const fileSchema = section({
  agents: section({
    default: name.default("deploybot"),
    path: z.string().min(1).optional(),
    enabled: z.array(name).min(1).optional(),
    settings: z.record(name, z.record(z.string(), z.json())).default({}),
  }).prefault({}),
  routes: z.array(routeSchema).default([]),
  people: z.array(personSchema).default([]),
  policies: z.record(name, policySchema).default({}),
  access: z.array(accessSchema).default([]),
  limits: section({
    messageCharacters: positive.max(1_000_000).default(10_000),
    bodyBytes: positive.max(104_857_600).default(1_048_576),
  }).prefault({}),
  budgets: section({
    run: budgetSchema.prefault({}),
    thread: budgetSchema.prefault({}),
    personPerDay: budgetSchema.prefault({}),
    day: budgetSchema.prefault({}),
  }).prefault({}),
  model: section({ prices: z.record(z.string(), priceSchema).default({}) }).prefault({}),
  delivery: section({
    maxAttempts: positive.max(50).default(8),
    firstRetryAfter: durationSchema.prefault("2s"),
    longestRetryAfter: durationSchema.prefault("15m"),
  }).prefault({}),
  logs: section({
    level: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
  }).prefault({}),
});

export type FileSettings = z.output<typeof fileSchema>;
export type FileInput = z.input<typeof fileSchema>;
