import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { hears } from "../../../core/access.ts";
import { variableNames } from "../../../gateway/config/environment.ts";
import {
  type Config,
  ConfigError,
  problemList,
  type Role,
  readConfig,
  Secret,
  withoutAdapter,
} from "../../../gateway/config/index.ts";
import { folderWith } from "./folder.ts";

const root = join(import.meta.dirname, "../../..");

interface Given {
  env?: { [name: string]: string };
  yaml?: string;
  dotenv?: string;
  role?: Role;
}

function read({ env = {}, yaml, dotenv, role = "all" }: Given = {}): Config {
  const cwd = folderWith({
    ...(yaml === undefined ? {} : { "parley.yaml": yaml }),
    ...(dotenv === undefined ? {} : { ".env": dotenv }),
  });
  return readConfig({ env, cwd, role });
}

function failure(given: Given): ConfigError {
  try {
    read(given);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

const places = (given: Given): string[] => failure(given).problems.map(({ where }) => where);

describe("without any configuration", () => {
  it("runs the demo on the embedded database with the offline stand-in", () => {
    const config = read();
    expect(config).toMatchObject({
      file: null,
      listen: { host: "127.0.0.1", port: 7470 },
      databaseUrl: null,
      redisUrl: null,
      model: { online: false },
      channels: { slack: null, discord: null, email: null, sms: null },
      limits: { messageCharacters: 10_000, bodyBytes: 1_048_576 },
      warnings: [],
    });
    expect(config.routing.default).toBe("deploybot");
    expect(config.agents.enabled).toEqual(["deploybot", "support"]);
    expect(Object.keys(config.policies)).toEqual(["production-deploys", "refunds"]);
    expect(config.policies.refunds).toMatchObject({
      name: "refunds",
      roles: ["admin"],
      expiresAfterMs: null,
    });
    expect(config.people).toMatchObject([{ id: "admin", roles: ["admin"] }]);
  });

  it("is frozen through and through", () => {
    const config = read();
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.policies.refunds?.roles)).toBe(true);
  });
});

describe("secrets", () => {
  it("show as [redacted] however the configuration is printed", () => {
    const env = {
      DATABASE_URL: "postgres://u:hunter2@db/parley",
      OPENAI_API_KEY: "hunter2",
      PARLEY_ADMIN_TOKEN: "hunter2",
      SLACK_BOT_TOKEN: "xoxb-hunter2",
      SLACK_APP_TOKEN: "xapp-hunter2",
      SMTP_URL: "smtps://u:hunter2@host",
      IMAP_URL: "imaps://u:hunter2@host",
      EMAIL_ADDRESS: "a@example.com",
    };
    const config = read({ env });
    const printed = [
      JSON.stringify(config),
      inspect(config, { depth: 9, showHidden: true }),
      `${config.adminToken}`,
      `${String(config.databaseUrl)}`,
    ].join("\n");
    expect(printed).not.toContain("hunter2");
    expect(printed).toContain("[redacted]");
    expect(config.adminToken?.reveal()).toBe("hunter2");
    expect(inspect(new Secret("x"))).toBe("[redacted]");
  });

  it("stay out of the problems that their variables cause", () => {
    const env = { DATABASE_URL: "mysql://u:hunter2@db", REDIS_URL: "hunter2", OPENAI_API_KEY: "hunter2 x" };
    const error = failure({ env });
    expect(error.problems).toHaveLength(3);
    expect(problemList(error.problems) + inspect(error)).not.toContain("hunter2");
  });
});

describe("the environment", () => {
  it("wins over .env, and an empty variable counts as unset", () => {
    const dotenv = 'PARLEY_PORT=8001\nPARLEY_HOST="localhost" # here\nOPENAI_API_KEY=from-file\n';
    const config = read({ dotenv, env: { PARLEY_PORT: "8002", PARLEY_PUBLIC_URL: "" } });
    expect(config.listen).toEqual({ host: "localhost", port: 8002 });
    expect(config.model.apiKey?.reveal()).toBe("from-file");
    expect(config.publicUrl).toBeNull();
  });

  it.each([
    ["PARLEY_PORT", "0"],
    ["PARLEY_PORT", "65536"],
    ["PARLEY_PORT", "80.5"],
    ["PARLEY_HOST", "http://localhost"],
    ["PARLEY_HOST", "localhost:80"],
    ["PARLEY_PUBLIC_URL", "http://parley.example.com"],
    ["PARLEY_PUBLIC_URL", "https://u:p@parley.example.com"],
    ["PARLEY_PUBLIC_URL", "parley.example.com"],
    ["DATABASE_URL", "mysql://db/parley"],
    ["REDIS_URL", "http://redis"],
    ["OPENAI_BASE_URL", "localhost:11434"],
    ["EMAIL_ADDRESS", "nobody"],
    ["IMAP_URL", "https://host"],
    ["SMTP_URL", "imaps://host"],
    ["DISCORD_PUBLIC_KEY", "abc"],
    ["TWILIO_FROM", "5551234"],
    ["SLACK_BOT_TOKEN", "xapp-1"],
    ["SLACK_APP_TOKEN", "xoxb-1"],
  ])("refuses %s=%s", (name, value) => {
    expect(places({ env: { [name]: value } })).toContain(name);
  });

  it.each([
    ["PARLEY_PUBLIC_URL", "https://parley.example.com/"],
    ["PARLEY_PUBLIC_URL", "http://localhost:7470"],
    ["PARLEY_PUBLIC_URL", "http://[::1]:7470"],
    ["PARLEY_HOST", "0.0.0.0"],
    ["PARLEY_HOST", "::"],
    ["DATABASE_URL", "postgresql://u:p@db:5432/parley?sslmode=require"],
    ["REDIS_URL", "rediss://:p@redis:6380/1"],
    ["OPENAI_BASE_URL", "http://localhost:11434/v1"],
  ])("takes %s=%s", (name, value) => {
    expect(() => read({ env: { [name]: value } })).not.toThrow();
  });

  it.each<[Role, boolean]>([
    ["all", true],
    ["gateway", false],
    ["worker", false],
  ])("as role %s starts without DATABASE_URL: %s", (role, fine) => {
    if (fine) expect(read({ role }).role).toBe(role);
    else expect(places({ role })).toEqual(["DATABASE_URL"]);
    expect(read({ role, env: { DATABASE_URL: "postgres://db/parley" } }).role).toBe(role);
  });

  it("warns of names that it does not know, with the one that was meant", () => {
    const env = { PARLEY_PROT: "1", PARLEY_SOMETHING_ELSE: "1", SLACK_BOT_TOKN: "x", UNRELATED: "1" };
    expect(read({ env }).warnings).toEqual([
      "The variable PARLEY_PROT is not known and has no effect. Did you mean PARLEY_PORT?",
      "The variable PARLEY_SOMETHING_ELSE is not known and has no effect.",
      "The variable SLACK_BOT_TOKN is not known and has no effect. Did you mean SLACK_BOT_TOKEN?",
    ]);
  });

  it("needs a key or an endpoint as soon as a model is named", () => {
    expect(places({ env: { PARLEY_MODEL: "m" } })).toEqual(["OPENAI_API_KEY"]);
    expect(read({ env: { PARLEY_MODEL: "m", OPENAI_BASE_URL: "http://localhost/v1/" } }).model).toMatchObject(
      {
        online: true,
        name: "m",
        baseUrl: "http://localhost/v1",
      },
    );
  });

  it("names an .env that cannot be read among the other problems", () => {
    const cwd = folderWith();
    mkdirSync(join(cwd, ".env"));
    expect(() => readConfig({ env: {}, cwd })).toThrow("cannot be read (EISDIR)");
  });
});

/** variables that are set, and the places of the problems */
const groups: [string, string[], string[]][] = [
  ["Slack over HTTP", ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"], []],
  ["Slack in Socket Mode", ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"], []],
  ["Slack by OAuth", ["SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "SLACK_SIGNING_SECRET"], []],
  ["a Slack bot token alone", ["SLACK_BOT_TOKEN"], ["SLACK_SIGNING_SECRET or SLACK_APP_TOKEN"]],
  ["a Slack app token alone", ["SLACK_APP_TOKEN"], ["SLACK_BOT_TOKEN"]],
  [
    "a Slack client id alone",
    ["SLACK_CLIENT_ID"],
    ["SLACK_CLIENT_SECRET", "SLACK_SIGNING_SECRET or SLACK_APP_TOKEN"],
  ],
  ["all of Discord", ["DISCORD_BOT_TOKEN", "DISCORD_APPLICATION_ID", "DISCORD_PUBLIC_KEY"], []],
  ["a Discord token alone", ["DISCORD_BOT_TOKEN"], ["DISCORD_APPLICATION_ID"]],
  ["a Discord key alone", ["DISCORD_PUBLIC_KEY"], ["DISCORD_BOT_TOKEN", "DISCORD_APPLICATION_ID"]],
  ["all of mail", ["EMAIL_ADDRESS", "IMAP_URL", "SMTP_URL"], []],
  ["a mailbox that cannot send", ["EMAIL_ADDRESS", "IMAP_URL"], ["SMTP_URL"]],
  ["all of SMS", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"], []],
  ["SMS without a number", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"], ["TWILIO_FROM"]],
];
const right: { [name: string]: string } = {
  SLACK_BOT_TOKEN: "xoxb-1",
  SLACK_SIGNING_SECRET: "s",
  SLACK_APP_TOKEN: "xapp-1",
  SLACK_CLIENT_ID: "1.2",
  SLACK_CLIENT_SECRET: "s",
  DISCORD_BOT_TOKEN: "t",
  DISCORD_APPLICATION_ID: "81384788765712384",
  DISCORD_PUBLIC_KEY: "a".repeat(64),
  EMAIL_ADDRESS: "agents@example.com",
  IMAP_URL: "imaps://u:p@host:993",
  SMTP_URL: "smtps://u:p@host:465",
  TWILIO_ACCOUNT_SID: "AC0123",
  TWILIO_AUTH_TOKEN: "t",
  TWILIO_FROM: "+15551234567",
};

describe("a channel's variables", () => {
  it.each(groups)("%s: %j", (_, names, missing) => {
    const env = Object.fromEntries(names.map((name) => [name, right[name] ?? ""]));
    if (missing.length > 0) expect(places({ env })).toEqual(missing);
    else expect(withoutAdapter(read({ env }).channels, ["web"])).toHaveLength(1);
  });

  it("give one problem for one mistake: what is set wrongly is not missing as well", () => {
    const env = { ...right, TWILIO_FROM: "nonsense" };
    expect(places({ env })).toEqual(["TWILIO_FROM"]);
  });

  it("are told of when no adapter speaks to the platform, until there is one", () => {
    const { channels } = read({ env: right });
    expect(withoutAdapter(channels, ["web", "slack", "email", "sms"])).toEqual([
      "Discord is configured, but this version has no Discord adapter yet: it stays off.",
    ]);
  });
});

describe("parley.yaml", () => {
  it("may be empty", () => {
    expect(read({ yaml: "# nothing yet\n" })).toMatchObject({ policies: {}, people: [] });
  });

  it("reads durations, identities, routes and rules", () => {
    const yaml = `
agents: { default: support }
people:
  - { id: ann, name: Ann, roles: [ops], identities: ["slack:T1:U1", "email:ann@example.com"] }
policies:
  deploys: { roles: [ops], expiresAfter: 2h, atExpiry: wait }
routes:
  - { match: { channel: [slack, email], sender: "person:ann", keyword: deploy }, agent: deploybot }
access:
  - { senders: ["email:*@example.com"], allow: true }
delivery: { firstRetryAfter: 90s, longestRetryAfter: 7d }
`;
    const config = read({ yaml });
    expect(config.policies.deploys).toMatchObject({ expiresAfterMs: 7_200_000, atExpiry: "wait", quorum: 1 });
    expect(config.people[0]?.identities).toEqual([
      { channel: "slack", account: "T1", identity: "U1" },
      { channel: "email", account: null, identity: "ann@example.com" },
    ]);
    expect(config.routing).toEqual({
      default: "support",
      rules: [
        {
          agent: "deploybot",
          match: { channel: ["slack", "email"], sender: [{ person: "ann" }], keyword: ["deploy"] },
        },
      ],
    });
    expect(config.delivery).toEqual({ maxAttempts: 8, firstRetryMs: 90_000, longestRetryMs: 604_800_000 });
    const sender = {
      channel: "email",
      account: "",
      identity: "x@example.com",
      name: "",
      kind: "bot",
    } as const;
    const binding = { channel: "email", account: "", room: "", anchor: "" };
    expect(hears(config.access, "message", { ...sender, assurance: "weak" }, binding).allowed).toBe(true);
  });

  it("names agents of the user's own folder", () => {
    const cwd = folderWith({
      "settings/parley.yaml": "agents: { path: ../mine, default: greeter }",
      "mine/greeter/agent.mjs": "export default 1;",
      "mine/notes/readme.md": "no agent",
    });
    const config = readConfig({ env: {}, cwd, overrides: { file: "settings/parley.yaml" } });
    expect(config.agents.path).toBe(join(cwd, "mine"));
    expect(config.agents.names).toEqual(["deploybot", "greeter", "support"]);
    expect(config.folder).toBe(join(cwd, "settings"));
  });

  it("must exist when it is named", () => {
    const cwd = folderWith();
    expect(() => readConfig({ env: {}, cwd, overrides: { file: "other.yaml" } })).toThrow(
      "There is no such file",
    );
  });

  it("is not read for tags or anchors that blow it up", () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
      .split("")
      .map((name, index) => `${name}: &${name} [${Array(10).fill(`*${"abcdefg"[index]}`).join(",")}]`)
      .join("\n")}\n`;
    expect(failure({ yaml: bomb }).problems[0]?.problem).toContain("not valid YAML");
  });
});

it("tells everything that is wrong at once, with lines and fixes", () => {
  const yaml = `agents:
  default: deplybot
  enabled: [deploybot]
routes:
  - match: { keywords: [refund] }
    agent: support
polices: {}
limits:
  messageCharacters: many
people:
  - id: ann
    name: Ann
    identities: ["slack"]
policies:
  refunds:
    expiresAfter: 2 weeks
`;
  const error = failure({ yaml, env: { PARLEY_PORT: "http", SLACK_BOT_TOKEN: "xoxb-1" }, role: "worker" });
  expect(problemList(error.problems)).toMatchSnapshot();
  expect(error.known).toEqual({ listen: null, dataDir: expect.stringMatching(/\.parley$/) });
});

it("tells where the parts of parley.yaml do not agree", () => {
  const yaml = `agents:
  default: deplybot
  enabled: [deploybot, suport]
  settings:
    nobody: {}
routes:
  - { match: {}, agent: support }
people:
  - { id: ann, name: Ann, roles: [ops], identities: ["slack:U1", "email:a@example.com"] }
  - { id: bob, name: Bob, roles: [ops], identities: ["slack:T1:U1", "email:b@example.com"] }
  - { id: ann, name: Anna }
policies:
  deploys:
    roles: [opps]
    people: [bobby]
    atExpiry: escalate
  refunds:
    roles: [ops]
    quorum: 3
    atExpiry: wait
  admins: { roles: [admin], people: [admin] }
delivery: { firstRetryAfter: 1h, longestRetryAfter: 1m }
`;
  expect(problemList(failure({ yaml }).problems)).toMatchSnapshot();
});

it("tells the line of a YAML mistake", () => {
  expect(places({ yaml: "agents:\n  default: deploybot\n\tenabled: []\n" })[0]).toMatch(/^parley\.yaml:3/);
});

it("takes the example as it stands, and the example shows every setting there is", () => {
  const file = join(root, "parley.example.yaml");
  const config = readConfig({ env: {}, cwd: folderWith(), overrides: { file } });
  expect(config.policies["production-deploys"]).toMatchObject({ quorum: 1, escalateTo: ["admin"] });
  const text = readFileSync(file, "utf8");
  const documented = readFileSync(join(root, "docs/configuration.md"), "utf8");
  for (const key of [
    "routes",
    "people",
    "policies",
    "access",
    ...Object.keys(config.limits),
    "budgets",
    "prices",
  ]) {
    expect(text).toContain(`${key}:`);
    expect(documented).toContain(key);
  }
});

it("has every variable in the documentation", () => {
  const documented = readFileSync(join(root, "docs/configuration.md"), "utf8");
  expect(variableNames.filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
});
