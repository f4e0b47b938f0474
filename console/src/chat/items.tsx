/** How each item of a conversation looks. */
import { Loader } from "@mantine/core";
import { Icon } from "../app/icons.tsx";
import { When } from "../app/when.tsx";
import { counted } from "../app/words.ts";
import { ApprovalById } from "../approvals/approval-card.tsx";
import type { Item, MessageItem, ReplyItem, ToolItem } from "./conversation.ts";
import styles from "./items.module.css";
import { Markdown } from "./markdown.tsx";
import { QuestionCard } from "./question-card.tsx";

export function ItemView({ item, onAnswer }: { item: Item; onAnswer: (text: string) => void }) {
  switch (item.kind) {
    case "message":
      return <Message item={item} />;
    case "reply":
      return <Reply item={item} />;
    case "tool":
      return <Tool item={item} />;
    case "approval":
      return <ApprovalById approvalId={item.approvalId} />;
    case "question":
      return <QuestionCard item={item} onAnswer={onAnswer} />;
    case "note":
      return (
        <p className={styles.note} data-bad={item.tone === "bad"}>
          {item.text} · <When at={item.at} />
        </p>
      );
  }
}

function Message({ item }: { item: MessageItem }) {
  return (
    <article className={styles.message} data-own={item.isOwn} aria-label={`Message from ${item.from}`}>
      <header className={styles.by}>
        <strong>{item.isOwn ? "You" : item.from}</strong>
        {item.channel !== "web" && <span>by {item.channel}</span>}
        <When at={item.at} />
      </header>
      <div className={styles.bubble}>
        <Markdown text={item.text} />
        {item.attachments.map((file) => (
          <p key={`${file.contentHash} ${file.name}`} className={styles.file}>
            {file.name} · {file.mediaType} · {counted(Math.ceil(file.sizeBytes / 1024), "KB", "KB")}
          </p>
        ))}
      </div>
    </article>
  );
}

function Reply({ item }: { item: ReplyItem }) {
  return (
    <article className={styles.message} aria-label={`Reply from ${item.from}`}>
      <header className={styles.by}>
        <strong>{item.from}</strong>
        <When at={item.at} />
      </header>
      <Markdown text={item.text} />
    </article>
  );
}

/** A reply that is still being written. Not announced: the committed reply is. */
export function PartialReply({ from, text }: { from: string; text: string }) {
  return (
    <article className={styles.message} aria-label={`${from} is writing`} data-testid="partial">
      <header className={styles.by}>
        <strong>{from}</strong>
        <span>writing…</span>
      </header>
      <Markdown text={text} />
    </article>
  );
}

export function Working({ agent }: { agent: string }) {
  return (
    <p className={styles.note} data-testid="working">
      <Loader type="dots" size={16} aria-hidden="true" /> {agent} is working
    </p>
  );
}

const toolWords: Record<ToolItem["state"], string> = {
  running: "running",
  done: "done",
  failed: "failed",
  unknown: "outcome unknown",
};

function Tool({ item }: { item: ToolItem }) {
  return (
    <p className={styles.tool} data-state={item.state}>
      <Icon name="tool" size={15} />
      <code>{item.tool}</code>
      <span className={styles.toolState}>{toolWords[item.state]}</span>
      {item.text !== "" && <span className={styles.toolText}>{item.text}</span>}
    </p>
  );
}
