/** Fresh ids and the time: what the core has handed in. */
import { randomBytes } from "node:crypto";
import type { Clock, Ids } from "../core/ports.ts";

/** UUIDv7, RFC 9562 section 5.7: 48 bits of milliseconds, then random bits. */
function uuidV7(nowMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export const ids: Ids = {
  next: () => uuidV7(Date.now()),
  randomBytes: (count) => randomBytes(count),
};

export const clock: Clock = { now: () => new Date() };
