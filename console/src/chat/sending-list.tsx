/** The reader's own messages that the log does not show yet. */
import { Button } from "@mantine/core";
import styles from "./items.module.css";
import { Markdown } from "./markdown.tsx";
import type { Sending } from "./use-sending.ts";

interface SendingListProps {
  sending: Sending[];
  retry: (item: Sending) => void;
  discard: (key: string) => void;
}

export function SendingList({ sending, retry, discard }: SendingListProps) {
  return sending.map((item) => (
    <article
      key={item.key}
      className={styles.message}
      data-own="true"
      data-failed={item.error !== null}
      aria-label="Your message, on its way"
    >
      <header className={styles.by}>
        <strong>You</strong>
        <span>{item.error === null ? "sending…" : "not sent"}</span>
      </header>
      <div className={styles.bubble}>
        <Markdown text={item.text} />
        {item.error !== null && (
          <div role="alert">
            <p className={styles.note} data-bad="true">
              {item.error instanceof Error ? item.error.message : "It could not be sent."}
            </p>
            <Button size="compact-sm" variant="default" mt={6} mr={8} onClick={() => retry(item)}>
              Send again
            </Button>
            <Button size="compact-sm" variant="default" mt={6} onClick={() => discard(item.key)}>
              Discard
            </Button>
          </div>
        )}
      </div>
    </article>
  ));
}
