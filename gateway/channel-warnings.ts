/** Tells of channels that are configured but that no adapter speaks to. channels/registry.ts is the only list of adapters. */
import { channels } from "../channels/registry.ts";
import { type Config, withoutAdapter } from "./config/index.ts";

export const channelWarnings = (config: Config): string[] =>
  withoutAdapter(
    config.channels,
    channels.map(({ name }) => name),
  );
