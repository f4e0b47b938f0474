/**
 * The environment variables: every one that Parley knows, how it must look, and what to do when it does not. This table
 * is the only one; docs/configuration.md is tested against it.
 *
 * Real variables win over `.env`. An empty value counts as unset, because that is what compose files produce.
 */
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { z } from "zod";
import { editDistance, nearest } from "./did-you-mean.ts";
import type { Problem } from "./problems.ts";
import { Secret } from "./secret.ts";

export type Environment = { readonly [name: string]: string | undefined };

const hostname = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

const text = (rule: (value: string) => boolean, problem: string) => z.string().refine(rule, problem);
const hasProtocol = (value: string, protocols: readonly string[]): boolean =>
  URL.canParse(value) && protocols.includes(new URL(value).protocol.slice(0, -1));
const url = (...protocols: string[]) =>
  text((value) => hasProtocol(value, protocols), `is not a URL with ${protocols.join(":// or ")}://`);
const secret = <T extends z.ZodType<string, string>>(schema: T) =>
  schema.transform((value) => new Secret(value));
const token = secret(text((value) => !/\s/.test(value), "has white space in it"));

function isPublicUrl(value: string): boolean {
  if (!hasProtocol(value, ["https", "http"])) return false;
  const { protocol, hostname, username, search, hash } = new URL(value);
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(hostname) || hostname.endsWith(".localhost");
  return (protocol === "https:" || local) && `${username}${search}${hash}` === "";
}

const slackToken = (wrong: string, other: string) =>
  secret(
    text((value) => !/\s/.test(value), "has white space in it").refine(
      (value) => !value.startsWith(wrong),
      `holds a token for ${other}`,
    ),
  );

/** One variable: how it must look, and the fix to offer. */
interface Variable<T> {
  schema: z.ZodType<T, string>;
  fix: string;
}
const variable = <T>(schema: z.ZodType<T, string>, fix: string): Variable<T> => ({ schema, fix });

const variables = {
  PARLEY_DATA_DIR: variable(z.string(), "give a folder, like PARLEY_DATA_DIR=.parley."),
  PARLEY_HOST: variable(
    text((value) => isIP(value) !== 0 || hostname.test(value), "is not an address to listen on"),
    "give an address or a host's name without a port, like PARLEY_HOST=127.0.0.1.",
  ),
  PARLEY_PORT: variable(
    text((value) => /^\d{1,5}$/.test(value) && +value >= 1 && +value <= 65_535, "is not a port").transform(
      Number,
    ),
    "give a number from 1 to 65535, like PARLEY_PORT=7470.",
  ),
  PARLEY_PUBLIC_URL: variable(
    text(isPublicUrl, "is not a public address with https").transform((value) => value.replace(/\/+$/, "")),
    "give the address by which platforms reach Parley, like PARLEY_PUBLIC_URL=https://parley.example.com; " +
      "http is for localhost only.",
  ),
  PARLEY_ADMIN_TOKEN: variable(token, "give a long random word, such as the output of: openssl rand -hex 24"),
  DATABASE_URL: variable(
    secret(url("postgres", "postgresql")),
    "give DATABASE_URL=postgres://user:password@host:5432/parley, or remove it to use the embedded database.",
  ),
  REDIS_URL: variable(
    secret(url("redis", "rediss")),
    "give REDIS_URL=redis://host:6379, or remove it to keep the queue in Postgres.",
  ),
  OPENAI_API_KEY: variable(token, "give the key as its provider shows it."),
  OPENAI_BASE_URL: variable(
    url("https", "http").transform((value) => value.replace(/\/+$/, "")),
    "give the endpoint's base address, like OPENAI_BASE_URL=https://api.openai.com/v1.",
  ),
  PARLEY_MODEL: variable(z.string(), "give a model's name."),
  PARLEY_FALLBACK_MODEL: variable(z.string(), "give a model's name."),
  SLACK_BOT_TOKEN: variable(
    slackToken("xapp-", "the app, not for the bot"),
    "give the bot token, which begins with xoxb-.",
  ),
  SLACK_SIGNING_SECRET: variable(token, "copy it from Basic Information in the Slack app's settings."),
  SLACK_APP_TOKEN: variable(
    slackToken("xoxb-", "the bot, not for the app"),
    "give the app-level token, which begins with xapp-.",
  ),
  SLACK_CLIENT_ID: variable(z.string(), "copy it from Basic Information in the Slack app's settings."),
  SLACK_CLIENT_SECRET: variable(token, "copy it from Basic Information in the Slack app's settings."),
  SLACK_API_URL: variable(url("https", "http"), "remove it, or give SLACK_API_URL=https://slack.com/api/."),
  DISCORD_BOT_TOKEN: variable(token, "copy it from the Bot page of the Discord application."),
  DISCORD_APPLICATION_ID: variable(
    text((value) => /^\d{1,20}$/.test(value), "is not an application id"),
    "copy the number from General Information of the Discord application.",
  ),
  DISCORD_PUBLIC_KEY: variable(
    text((value) => /^[0-9a-f]{64}$/i.test(value), "is not a public key of 64 hexadecimal digits"),
    "copy it from General Information of the Discord application.",
  ),
  DISCORD_API_URL: variable(
    url("https", "http"),
    "remove it, or give DISCORD_API_URL=https://discord.com/api.",
  ),
  EMAIL_ADDRESS: variable(
    text((value) => z.email().safeParse(value).success, "is not a mail address"),
    "give the mailbox's address, like EMAIL_ADDRESS=agents@example.com.",
  ),
  IMAP_URL: variable(secret(url("imaps", "imap")), "give IMAP_URL=imaps://user:password@host:993."),
  SMTP_URL: variable(secret(url("smtps", "smtp")), "give SMTP_URL=smtps://user:password@host:465."),
  EMAIL_AUTHSERV_ID: variable(
    text((value) => !/\s/.test(value), "has white space in it"),
    "give the name your mail server writes first into Authentication-Results.",
  ),
  TWILIO_ACCOUNT_SID: variable(
    text((value) => /^AC[0-9a-zA-Z]+$/.test(value), "is not an account SID"),
    "copy it from Twilio's console; it begins with AC.",
  ),
  TWILIO_AUTH_TOKEN: variable(token, "copy it from Twilio's console."),
  TWILIO_FROM: variable(
    text((value) => /^(\+[1-9]\d{4,14}|MG[0-9a-zA-Z]+)$/.test(value), "is not a number to send from"),
    "give a number like TWILIO_FROM=+15551234567, or a messaging service's SID.",
  ),
  TWILIO_API_URL: variable(url("https", "http"), "remove it, or give TWILIO_API_URL=https://api.twilio.com."),
};

export type VariableName = keyof typeof variables;
type Read<V> = V extends Variable<infer T> ? T : never;
export type Variables = { readonly [N in VariableName]: Read<(typeof variables)[N]> | undefined };

export const variableNames = Object.keys(variables) as VariableName[];

/** Real variables over those of `.env` in the folder. An unreadable file is a problem, a missing one is not. */
export function withEnvFile(env: Environment, folder: string): { env: Environment; problems: Problem[] } {
  const path = join(folder, ".env");
  if (!existsSync(path)) return { env, problems: [] };
  try {
    const fromFile = parseEnv(readFileSync(path, "utf8"));
    return { env: { ...fromFile, ...env }, problems: [] };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    return {
      env,
      problems: [
        {
          where: path,
          problem: `The file cannot be read (${code}).`,
          fix: "make it readable, or move it away.",
        },
      ],
    };
  }
}

/** Reads the table. A problem's text shows the name of a variable, never the value: it may be a secret. */
export function readVariables(env: Environment): { values: Variables; problems: Problem[] } {
  const problems: Problem[] = [];
  const values: { [name: string]: unknown } = {};
  for (const name of variableNames) {
    const given = env[name]?.trim();
    if (given === undefined || given === "") continue;
    const parsed = variables[name].schema.safeParse(given);
    if (parsed.success) values[name] = parsed.data;
    else
      problems.push({
        where: name,
        problem: `It ${parsed.error.issues[0]?.message}.`,
        fix: variables[name].fix,
      });
  }
  return { values: values as Variables, problems };
}

/** Names that were probably meant to be one of ours. They are ignored, so somebody should hear of it. */
export function misspelt(env: Environment): string[] {
  const known: readonly string[] = variableNames;
  return Object.keys(env)
    .filter((name) => !known.includes(name) && env[name] !== "")
    .flatMap((name) => {
      const meant = nearest(name, known);
      const close = meant !== undefined && name.length > 8 && editDistance(name, meant) <= 2;
      if (!name.startsWith("PARLEY_") && !close) return [];
      return [
        `The variable ${name} is not known and has no effect.${meant === undefined ? "" : ` Did you mean ${meant}?`}`,
      ];
    });
}
