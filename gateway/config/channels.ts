/**
 * The channels' sections of the environment: when a channel is on, and what its group of variables needs to be whole.
 * Adding a channel to Parley means one section here.
 */
import type { Variables } from "./environment.ts";
import type { Problem } from "./problems.ts";
import type { Secret } from "./secret.ts";

export interface SlackConfig {
  /** Null when workspaces are installed by OAuth only. */
  botToken: Secret | null;
  /** Verifies HTTP requests. */
  signingSecret: Secret | null;
  /** Selects Socket Mode. */
  appToken: Secret | null;
  oauth: { clientId: string; clientSecret: Secret } | null;
  apiUrl: string | null;
}

export interface DiscordConfig {
  botToken: Secret;
  applicationId: string;
  /** Adds interactions over HTTP. */
  publicKey: string | null;
  apiUrl: string | null;
}

export interface EmailConfig {
  address: string;
  imapUrl: Secret;
  smtpUrl: Secret;
  authservId: string | null;
}

export interface SmsConfig {
  accountSid: string;
  authToken: Secret;
  from: string;
  apiUrl: string | null;
}

/** A channel is on when its section is not null. The web channel is always on. */
export interface ChannelsConfig {
  slack: SlackConfig | null;
  discord: DiscordConfig | null;
  email: EmailConfig | null;
  sms: SmsConfig | null;
}
export type ConfiguredChannel = keyof ChannelsConfig;

interface Section<T> {
  title: string;
  /** Any of these switches the channel on. */
  switches: readonly (keyof Variables)[];
  /** What is missing, each with the reason; empty when the group is whole. */
  missing(values: Variables): { name: string; because: string }[];
  /** Null when the group is not whole. */
  read(values: Variables): T | null;
}

const sections: { [C in ConfiguredChannel]: Section<NonNullable<ChannelsConfig[C]>> } = {
  slack: {
    title: "Slack",
    switches: [
      "SLACK_BOT_TOKEN",
      "SLACK_SIGNING_SECRET",
      "SLACK_APP_TOKEN",
      "SLACK_CLIENT_ID",
      "SLACK_CLIENT_SECRET",
    ],
    missing: missingForSlack,
    read: (values) => ({
      botToken: values.SLACK_BOT_TOKEN ?? null,
      signingSecret: values.SLACK_SIGNING_SECRET ?? null,
      appToken: values.SLACK_APP_TOKEN ?? null,
      oauth:
        values.SLACK_CLIENT_ID !== undefined && values.SLACK_CLIENT_SECRET !== undefined
          ? { clientId: values.SLACK_CLIENT_ID, clientSecret: values.SLACK_CLIENT_SECRET }
          : null,
      apiUrl: values.SLACK_API_URL ?? null,
    }),
  },
  discord: {
    title: "Discord",
    switches: ["DISCORD_BOT_TOKEN", "DISCORD_APPLICATION_ID", "DISCORD_PUBLIC_KEY"],
    missing: (values) => unset(values, ["DISCORD_BOT_TOKEN", "DISCORD_APPLICATION_ID"], "Discord"),
    read({ DISCORD_BOT_TOKEN: botToken, DISCORD_APPLICATION_ID: applicationId, ...values }) {
      if (botToken === undefined || applicationId === undefined) return null;
      return {
        botToken,
        applicationId,
        publicKey: values.DISCORD_PUBLIC_KEY ?? null,
        apiUrl: values.DISCORD_API_URL ?? null,
      };
    },
  },
  email: {
    title: "Email",
    switches: ["EMAIL_ADDRESS", "IMAP_URL", "SMTP_URL", "EMAIL_AUTHSERV_ID"],
    missing: (values) => unset(values, ["EMAIL_ADDRESS", "IMAP_URL", "SMTP_URL"], "Email"),
    read({ EMAIL_ADDRESS: address, IMAP_URL: imapUrl, SMTP_URL: smtpUrl, EMAIL_AUTHSERV_ID: authservId }) {
      if (address === undefined || imapUrl === undefined || smtpUrl === undefined) return null;
      return { address, imapUrl, smtpUrl, authservId: authservId ?? null };
    },
  },
  sms: {
    title: "SMS",
    switches: ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"],
    missing: (values) => unset(values, ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"], "SMS"),
    read({ TWILIO_ACCOUNT_SID: accountSid, TWILIO_AUTH_TOKEN: authToken, TWILIO_FROM: from, ...values }) {
      if (accountSid === undefined || authToken === undefined || from === undefined) return null;
      return { accountSid, authToken, from, apiUrl: values.TWILIO_API_URL ?? null };
    },
  },
};

export const configuredChannels = Object.keys(sections) as ConfiguredChannel[];

function missingForSlack(values: Variables): { name: string; because: string }[] {
  const receives = values.SLACK_SIGNING_SECRET !== undefined || values.SLACK_APP_TOKEN !== undefined;
  const installs = values.SLACK_CLIENT_ID !== undefined || values.SLACK_CLIENT_SECRET !== undefined;
  return [
    ...(installs ? unset(values, ["SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"], "Slack's OAuth") : []),
    ...(installs ? [] : unset(values, ["SLACK_BOT_TOKEN"], "Slack")),
    ...(receives
      ? []
      : [
          {
            name: "SLACK_SIGNING_SECRET or SLACK_APP_TOKEN",
            because: "Slack needs a signing secret (HTTP) or an app token (Socket Mode) to send us anything",
          },
        ]),
  ];
}

const unset = (values: Variables, names: readonly (keyof Variables)[], title: string) =>
  names
    .filter((name) => values[name] === undefined)
    .map((name) => ({ name, because: `${title} does not work without it` }));

/**
 * Reads every section. A variable that is set but wrong is reported elsewhere and counts as set here, so that one
 * mistake gives one problem.
 * @param given names of all variables that are set, right or wrong.
 */
export function readChannels(
  values: Variables,
  given: ReadonlySet<string>,
): { channels: ChannelsConfig; problems: Problem[] } {
  const channels: { [name: string]: unknown } = {};
  const problems: Problem[] = [];
  const asGiven = Object.fromEntries([...given].map((name) => [name, values[name as keyof Variables] ?? ""]));
  for (const name of configuredChannels) {
    const section = sections[name];
    const on = section.switches.filter((each) => given.has(each));
    const missing = on.length === 0 ? [] : section.missing(asGiven as Variables);
    channels[name] = on.length === 0 || missing.length > 0 ? null : section.read(values);
    problems.push(...missing.map((each) => missingProblem(each, on)));
  }
  return { channels: channels as unknown as ChannelsConfig, problems };
}

const missingProblem = (
  { name, because }: { name: string; because: string },
  on: readonly string[],
): Problem => ({
  where: name,
  problem: `It is not set, but ${on.join(", ")} ${on.length === 1 ? "is" : "are"}: ${because}.`,
  fix: `set ${name}, or remove ${on.join(", ")}.`,
});

/** What to tell when a channel is configured that none of the adapters speaks to. */
export function withoutAdapter(channels: ChannelsConfig, adapters: readonly string[]): string[] {
  return configuredChannels
    .filter((name) => channels[name] !== null && !adapters.includes(name))
    .map((name) => {
      const { title } = sections[name];
      return `${title} is configured, but this version has no ${title} adapter yet: it stays off.`;
    });
}
