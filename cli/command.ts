/** What commands share: the options that name a Parley, and how examples stand in their help. */
import { type Command, Option } from "commander";
import { readAddress } from "../gateway/config/index.ts";
import { type ApiClient, apiClient } from "./api-client.ts";

export interface RemoteOptions {
  url?: string;
  token?: string;
  json?: boolean;
}

/** For commands that talk to a running Parley. */
export function remote(command: Command): Command {
  return command
    .addOption(new Option("--url <address>", "the Parley to talk to (default: the one on this machine)"))
    .addOption(new Option("--token <token>", "API token (default: PARLEY_ADMIN_TOKEN, or the data folder's)"))
    .option("--json", "print JSON");
}

export const connect = (options: RemoteOptions): ApiClient =>
  apiClient(readAddress({ url: options.url, token: options.token }));

export function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText("after", `\nExamples:\n${lines.map((line) => `  $ parley ${line}`).join("\n")}`);
}
