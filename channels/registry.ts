/** Every channel that this version has an adapter for. A new platform adds its line here. */
import type { Channel } from "./channel.ts";
import { webChannel } from "./web/index.ts";

export const channels: readonly Channel[] = [webChannel];
