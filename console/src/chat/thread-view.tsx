/** One thread: its header, what was said, what is on its way, and where to write. */
import { Button } from "@mantine/core";
import { useCallback, useMemo, useState } from "react";
import { api } from "../api/endpoints.ts";
import { useThread } from "../api/queries.ts";
import { usePageTitle } from "../app/page.tsx";
import { Loading, Trouble } from "../app/states.tsx";
import { useSession } from "../session/session.ts";
import { Composer } from "./composer.tsx";
import { type Conversation, conversationOf } from "./conversation.ts";
import { ItemView, PartialReply, Working } from "./items.tsx";
import { SendingList } from "./sending-list.tsx";
import { ThreadHeader } from "./thread-header.tsx";
import styles from "./thread-view.module.css";
import { useAnnounceNew } from "./use-announce-new.ts";
import { useSending } from "./use-sending.ts";
import { useStickToEnd } from "./use-stick-to-end.ts";
import { type ThreadEvents, useThreadEvents } from "./use-thread-events.ts";

export function ThreadView({ threadId }: { threadId: string }) {
  const { person } = useSession();
  const thread = useThread(threadId);
  const log = useThreadEvents(threadId);
  const conversation = useMemo(() => conversationOf(log.events, person), [log.events, person]);
  const post = useCallback(
    (body: { text: string; idempotencyKey: string }) => api.sendMessage(threadId, body),
    [threadId],
  );
  const sending = useSending(log.events, post);
  usePageTitle(thread.data?.title ?? "Thread");
  useAnnounceNew(conversation.items, log.isReady);

  const isGone = thread.isError && thread.data === undefined;
  return (
    <section className={styles.thread} aria-label="Thread">
      {thread.data && (
        <ThreadHeader
          thread={thread.data}
          connection={log.connection}
          lastSeq={log.events.at(-1)?.seq ?? 0}
        />
      )}
      {isGone ? (
        <div className={styles.trouble}>
          <Trouble error={thread.error} retry={() => thread.refetch()} />
        </div>
      ) : (
        <>
          <Transcript conversation={conversation} log={log} sending={sending} />
          <div className={styles.foot}>
            <div className={styles.column}>
              <Composer label={`Write to ${conversation.agent || "the agent"}`} onSend={sending.send} />
            </div>
          </div>
        </>
      )}
    </section>
  );
}

const firstShown = 200;

interface TranscriptProps {
  conversation: Conversation;
  log: ThreadEvents;
  sending: ReturnType<typeof useSending>;
}

function Transcript({ conversation, log, sending }: TranscriptProps) {
  const { items, agent, isWorking } = conversation;
  const [shown, setShown] = useState(firstShown);
  const scroller = useStickToEnd([items, log.partial, sending.sending]);
  return (
    <div
      className={styles.scroll}
      ref={scroller}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      role="log"
      aria-label="Messages"
      aria-live="off"
    >
      <div className={styles.column}>
        {!log.isReady && log.error === null && <Loading label="Loading the thread" />}
        {log.error !== null && !log.isReady && <Trouble error={log.error} />}
        {items.length > shown && (
          <Button variant="default" onClick={() => setShown(shown + firstShown)}>
            Show earlier
          </Button>
        )}
        {items.slice(-shown).map((item) => (
          <ItemView key={`${item.kind} ${item.seq}`} item={item} onAnswer={sending.send} />
        ))}
        <SendingList {...sending} />
        {log.partial !== "" && <PartialReply from={agent} text={log.partial} />}
        {isWorking && log.partial === "" && <Working agent={agent} />}
      </div>
    </div>
  );
}
