/** Text as it is: nothing cut, and what would hide or reorder itself is shown as a marked escape. */
import { Fragment, type ReactNode } from "react";
import { visibleParts } from "../visible-text.ts";
import styles from "./arguments.module.css";

export function ExactText({ text }: { text: string }): ReactNode {
  let offset = 0;
  return visibleParts(text).map((part) => {
    const key = offset;
    offset += part.text.length;
    if (!part.escape) return <Fragment key={key}>{part.text}</Fragment>;
    return (
      <Fragment key={key}>
        <mark className={styles.escape}>{part.text}</mark>
        {part.source === "\n" && <br />}
      </Fragment>
    );
  });
}
