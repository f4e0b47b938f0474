/** Where threads of the console and the API are at home: one room, and the thread's own anchor in it. */
import type { Binding } from "../../core/words.ts";

export const webBinding = (anchor: string): Binding => ({
  channel: "web",
  account: "local",
  room: "console",
  anchor,
});
