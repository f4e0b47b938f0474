import type { ThreadStatus } from "../../../core/thread.ts";

/** Complete by its type: a new status does not compile until it is listed. */
const all: Record<ThreadStatus, true> = {
  running: true,
  waiting: true,
  done: true,
  paused: true,
  cancelled: true,
};

export const threadStatuses: string[] = Object.keys(all);
