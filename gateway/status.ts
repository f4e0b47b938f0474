/** What the console's first screen tells a newcomer: what runs here, and what to do next. */

import type { Channel } from "../channels/channel.ts";
import type { Model } from "../core/ports.ts";
import manifest from "../package.json" with { type: "json" };
import type { StatusView } from "./api.ts";
import type { Foundation } from "./foundation.ts";

export function statusView(
  { config, agents }: Pick<Foundation, "config" | "agents">,
  model: Model,
  channels: readonly Channel[],
): StatusView {
  const configured = Object.entries(config.channels).map(([name, section]) => ({
    name,
    on: section !== null,
  }));
  const adapters = new Set(channels.map(({ name }) => name));
  return {
    version: manifest.version,
    model: { name: model.name, offline: model.offline },
    agents: [...agents.values()].map(({ name, description }) => ({ name, description })),
    channels: [
      { name: "web", on: true },
      ...configured.map(({ name, on }) => ({ name, on: on && adapters.has(name) })),
    ],
    database: config.databaseUrl === null ? "embedded" : "external",
    queue: config.redisUrl === null ? "postgres" : "redis",
    nextSteps: nextSteps(
      config,
      model,
      configured.some(({ name, on }) => on && adapters.has(name)),
      adapters,
    ),
  };
}

function nextSteps(
  config: Foundation["config"],
  model: Model,
  hasChannel: boolean,
  adapters: ReadonlySet<string>,
): StatusView["nextSteps"] {
  return [
    ...(model.offline
      ? [
          {
            title: "Give the agents a model",
            text: "They run on the offline stand-in, which follows fixed rules. Put OPENAI_API_KEY into .env (or OPENAI_BASE_URL of a compatible server, with PARLEY_MODEL), and start again.",
          },
        ]
      : []),
    ...(config.file === null
      ? [
          {
            title: "Make it yours",
            text: "The built-in demo configuration applies. Copy parley.example.yaml to parley.yaml: people, roles, policies, repositories and commands are set there.",
          },
        ]
      : []),
    ...(hasChannel
      ? []
      : [
          adapters.size > 1
            ? {
                title: "Add a first channel",
                text: "Set the variables of one channel in .env; docs/ has a guide for each.",
              }
            : {
                title: "Reach it from elsewhere",
                text: "Besides this console there are the API (docs/api.md) and `parley chat` in a terminal. Slack, Discord, mail and SMS follow in later versions.",
              },
        ]),
  ];
}
