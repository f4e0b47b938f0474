/** Durations as people write them: "90s", "15m", "2h", "7d". */
import { z } from "zod";

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const longestMs = 3_650 * unitMs.d;

/** Null when the text is not a duration from one second to ten years. */
export function readDurationMs(text: string): number | null {
  const match = /^(\d{1,9})\s*([smhd])$/.exec(text.trim());
  if (match === null) return null;
  const durationMs = Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
  return durationMs >= 1_000 && durationMs <= longestMs ? durationMs : null;
}

/** Gives milliseconds. */
export const durationSchema = z
  .string("must be a duration like 90s, 15m, 2h or 7d")
  .transform((text, context) => {
    const durationMs = readDurationMs(text);
    if (durationMs !== null) return durationMs;
    context.addIssue({ code: "custom", message: "must be a duration like 90s, 15m, 2h or 7d" });
    return z.NEVER;
  });
