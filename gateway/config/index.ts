/** The configuration: what other folders may use of it. */
export { type Address, type AddressOptions, localUrl, readAddress, tokenFileName } from "./address.ts";
export type {
  ChannelsConfig,
  ConfiguredChannel,
  DiscordConfig,
  EmailConfig,
  SlackConfig,
  SmsConfig,
} from "./channels.ts";
export { withoutAdapter } from "./channels.ts";
export {
  type AgentsConfig,
  type Budget,
  type BudgetsConfig,
  type Config,
  type DeliveryConfig,
  type LimitsConfig,
  type ModelConfig,
  type PersonConfig,
  type Role,
  roles,
} from "./config.ts";
export { ConfigError, type KnownPlaces, type Problem, problemList, StartError } from "./problems.ts";
export { defaultListen, defaultModel, type ReadConfigOptions, readConfig } from "./read.ts";
export { Secret } from "./secret.ts";
