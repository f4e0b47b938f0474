import { NativeSelect } from "@mantine/core";
import { useState } from "react";
import { Link } from "wouter";
import type { ThreadView } from "../../../gateway/api.ts";
import { useThreads } from "../api/queries.ts";
import { PagedList } from "../app/more.tsx";
import { Empty, Pill } from "../app/states.tsx";
import { When } from "../app/when.tsx";
import { threadStatuses } from "./statuses.ts";
import { threadTone, waitingText } from "./thread-status.ts";
import styles from "./threads-page.module.css";

export function ThreadList({ current }: { current: string | null }) {
  const [status, setStatus] = useState("");
  const { query, items } = useThreads(status);
  return (
    <>
      <NativeSelect
        aria-label="Show threads by status"
        size="xs"
        value={status}
        onChange={(event) => setStatus(event.currentTarget.value)}
        data={[{ value: "", label: "All threads" }, ...threadStatuses]}
      />
      <PagedList
        query={query}
        what="threads"
        count={items.length}
        empty={
          <Empty icon="threads" title={status === "" ? "No threads yet" : `No thread is ${status}`}>
            {status === "" && "Write a message to start the first one."}
          </Empty>
        }
      >
        <ul className={styles.list}>
          {items.map((thread) => (
            <Row key={thread.id} thread={thread} isCurrent={thread.id === current} />
          ))}
        </ul>
      </PagedList>
    </>
  );
}

function Row({ thread, isCurrent }: { thread: ThreadView; isCurrent: boolean }) {
  return (
    <li>
      <Link
        href={`/threads/${thread.id}`}
        className={styles.row}
        aria-current={isCurrent ? "page" : undefined}
      >
        <span className={styles.rowTitle}>{thread.title || "Untitled"}</span>
        <span className={styles.rowFacts}>
          <span>
            {thread.agent} · <When at={thread.updatedAt} />
          </span>
          {thread.status !== "done" && <Pill tone={threadTone[thread.status]}>{waitingText(thread)}</Pill>}
        </span>
      </Link>
    </li>
  );
}
