/** Threads at the left, the open one (or a new one) at the right; on a narrow screen one of the two. */
import { ActionIcon, Title } from "@mantine/core";
import { Link } from "wouter";
import { Icon } from "../app/icons.tsx";
import { usePageTitle } from "../app/page.tsx";
import { NewThread } from "./new-thread.tsx";
import { ThreadList } from "./thread-list.tsx";
import { ThreadView } from "./thread-view.tsx";
import styles from "./threads-page.module.css";

export function ThreadsPage({ threadId }: { threadId: string | undefined }) {
  const isNew = threadId === undefined || threadId === "new";
  return (
    <div className={styles.page} data-open={threadId !== undefined}>
      <aside className={styles.side} aria-label="All threads">
        <div className={styles.sideHead}>
          <Title order={2}>Threads</Title>
          <ActionIcon
            component={Link}
            href="/threads/new"
            variant="default"
            size="lg"
            aria-label="New thread"
            title="New thread"
          >
            <Icon name="plus" />
          </ActionIcon>
        </div>
        <ThreadList current={threadId ?? null} />
      </aside>
      <div className={styles.open}>
        {isNew ? <Fresh /> : <ThreadView key={threadId} threadId={threadId} />}
      </div>
    </div>
  );
}

function Fresh() {
  usePageTitle("Threads");
  return <NewThread />;
}
