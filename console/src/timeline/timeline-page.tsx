/** All that a thread's log holds, event by event, live. */
import { Button } from "@mantine/core";
import { useState } from "react";
import { Link } from "wouter";
import { useThread } from "../api/queries.ts";
import { Page, Panel } from "../app/page.tsx";
import { Empty, Loading, Trouble } from "../app/states.tsx";
import { costText, countText } from "../app/words.ts";
import { useFork } from "../chat/thread-actions.tsx";
import { type ThreadEvents, useThreadEvents } from "../chat/use-thread-events.ts";
import { EventRow } from "./event-row.tsx";
import { ModelCalls } from "./model-calls.tsx";
import styles from "./timeline.module.css";

export function TimelinePage({ threadId }: { threadId: string }) {
  const thread = useThread(threadId).data;
  const log = useThreadEvents(threadId);
  return (
    <Page
      title={thread?.title || "Timeline"}
      lead={
        thread &&
        `${thread.agent} · ${thread.status} · ${countText(thread.spend.tokens)} tokens · ${costText(thread.spend.usd)}`
      }
      actions={
        <Button component={Link} href={`/threads/${threadId}`} variant="default">
          Open the thread
        </Button>
      }
    >
      <Panel title="Model calls">
        <ModelCalls threadId={threadId} />
      </Panel>
      <Panel title="Events">
        <Events threadId={threadId} log={log} />
      </Panel>
    </Page>
  );
}

const shownAtOnce = 300;

function Events({ threadId, log }: { threadId: string; log: ThreadEvents }) {
  const fork = useFork(threadId);
  const [shown, setShown] = useState(shownAtOnce);
  if (!log.isReady && log.error !== null) return <Trouble error={log.error} />;
  if (!log.isReady) return <Loading label="Loading the events" />;
  if (log.events.length === 0) return <Empty icon="threads" title="Nothing happened yet" />;
  return (
    <>
      {fork.isError && <Trouble error={fork.error} />}
      {log.events.length > shown && (
        <Button variant="default" onClick={() => setShown(shown + shownAtOnce)}>
          Show earlier events
        </Button>
      )}
      <ol className={styles.events}>
        {log.events.slice(-shown).map((event) => (
          <EventRow
            key={event.seq}
            event={event}
            isForking={fork.isPending}
            onFork={(seq) => fork.mutate(seq)}
          />
        ))}
      </ol>
    </>
  );
}
