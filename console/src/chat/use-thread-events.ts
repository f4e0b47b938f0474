import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { EventView } from "../../../gateway/api.ts";
import { endSessionOn401, keys } from "../api/queries.ts";
import { type Connection, followThread } from "./follow.ts";

export interface ThreadEvents {
  events: readonly EventView[];
  partial: string;
  connection: Connection;
  isReady: boolean;
  error: unknown;
}

const nothingYet: ThreadEvents = {
  events: [],
  partial: "",
  connection: "connecting",
  isReady: false,
  error: null,
};

/** The thread's log, live. What else shows this thread is told to look again whenever the log grows. */
export function useThreadEvents(threadId: string): ThreadEvents {
  const [state, setState] = useState(nothingYet);
  const client = useQueryClient();
  useEffect(() => {
    setState(nothingYet);
    const change = (part: Partial<ThreadEvents>) => setState((before) => ({ ...before, ...part }));
    return followThread(threadId, {
      events: (fresh) => {
        setState((before) => ({
          ...before,
          events: [...before.events, ...fresh],
          partial: fresh.some(endsPartial) ? "" : before.partial,
        }));
        for (const queryKey of staleAfter(threadId, fresh)) void client.invalidateQueries({ queryKey });
      },
      ready: () => change({ isReady: true, error: null }),
      partial: (partial) => change({ partial }),
      connection: (connection) => change({ connection }),
      failed: (error) => {
        endSessionOn401(client, error);
        change({ error });
      },
    });
  }, [threadId, client]);
  return state;
}

const endsPartial = ({ type }: EventView): boolean =>
  ["reply_committed", "run_ended", "question_asked", "step_decided", "model_failed"].includes(type);

function staleAfter(threadId: string, events: EventView[]): (readonly unknown[])[] {
  const approvals = events.flatMap(({ data }) =>
    "approvalId" in data && data.approvalId ? [data.approvalId] : [],
  );
  return [
    keys.thread(threadId),
    keys.threads,
    keys.modelCalls(threadId),
    ...(approvals.length > 0 ? [keys.approvals] : []),
    ...[...new Set(approvals)].map(keys.approval),
  ];
}
