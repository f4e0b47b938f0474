import type { ThreadStatus } from "../../../core/thread.ts";
import type { ThreadView } from "../../../gateway/api.ts";
import type { Tone } from "../app/states.tsx";

export const threadTone: Record<ThreadStatus, Tone> = {
  running: "accent",
  waiting: "warn",
  done: "neutral",
  paused: "warn",
  cancelled: "neutral",
};

const waits: Record<ThreadView["waitingFor"][number], string> = {
  approval: "waits for an approval",
  question: "waits for an answer",
  timer: "waits for a time",
  tool_outcome: "waits for an outcome",
};

export function waitingText(thread: ThreadView): string {
  const first = thread.waitingFor[0];
  return thread.status === "waiting" && first !== undefined ? waits[first] : thread.status;
}
