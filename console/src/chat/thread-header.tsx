import { ActionIcon, Button, Title } from "@mantine/core";
import { Link } from "wouter";
import type { ThreadView } from "../../../gateway/api.ts";
import { Icon } from "../app/icons.tsx";
import { CurrentModel } from "../app/model-name.tsx";
import { Pill } from "../app/states.tsx";
import { costText } from "../app/words.ts";
import type { Connection } from "./follow.ts";
import { ThreadActions } from "./thread-actions.tsx";
import { threadTone, waitingText } from "./thread-status.ts";
import styles from "./thread-view.module.css";

const connectionWords: Record<Connection, string> = {
  connecting: "connecting",
  live: "live",
  reconnecting: "reconnecting",
};

interface ThreadHeaderProps {
  thread: ThreadView;
  connection: Connection;
  lastSeq: number;
}

export function ThreadHeader({ thread, connection, lastSeq }: ThreadHeaderProps) {
  return (
    <header className={styles.head}>
      <ActionIcon
        component={Link}
        href="/threads"
        variant="subtle"
        color="gray"
        size="lg"
        className={styles.back}
        aria-label="All threads"
      >
        <Icon name="back" />
      </ActionIcon>
      <div className={styles.title}>
        <Title order={1} title={thread.title}>
          {thread.title || "Untitled"}
        </Title>
        <div className={styles.facts}>
          <span>{thread.agent}</span>
          <Pill tone={threadTone[thread.status]}>{waitingText(thread)}</Pill>
          <CurrentModel />
          {thread.spend.usd > 0 && <span>{costText(thread.spend.usd)}</span>}
          <span className={styles.connection} data-state={connection} role="status">
            {connectionWords[connection]}
          </span>
        </div>
      </div>
      <Button
        component={Link}
        href={`/threads/${thread.id}/timeline`}
        variant="default"
        size="compact-sm"
        className={styles.timeline}
      >
        Timeline
      </Button>
      <ThreadActions thread={thread} lastSeq={lastSeq} />
    </header>
  );
}
