import { Button } from "@mantine/core";
import type { EventView } from "../../../gateway/api.ts";
import { RecordedModel } from "../app/model-name.tsx";
import { actorName, costText, countText, fullTime, latencyText } from "../app/words.ts";
import { ExactText } from "../approvals/exact-text.tsx";
import { sentenceOf } from "./sentences.ts";
import styles from "./timeline.module.css";

interface EventRowProps {
  event: EventView;
  isForking: boolean;
  onFork: (atSeq: number) => void;
}

export function EventRow({ event, isForking, onFork }: EventRowProps) {
  return (
    <li className={styles.event}>
      <span className={styles.seq}>{event.seq}</span>
      <div className={styles.body}>
        <p className={styles.sentence}>{sentenceOf(event)}</p>
        {event.type === "step_decided" && <StepUsage event={event} />}
        <p className={styles.by}>
          <time dateTime={event.at}>{fullTime(event.at)}</time> · {actorName(event.actor)}
        </p>
        <details className={styles.details}>
          <summary>
            <code>{event.type}</code>
          </summary>
          <Json value={{ actor: event.actor, data: event.data, version: event.v }} />
          <Button size="compact-xs" variant="default" disabled={isForking} onClick={() => onFork(event.seq)}>
            Fork the thread from here
          </Button>
        </details>
      </div>
    </li>
  );
}

function StepUsage({ event }: { event: Extract<EventView, { type: "step_decided" }> }) {
  const { usage, reasoning } = event.data;
  return (
    <>
      {reasoning !== "" && <p className={styles.reasoning}>{reasoning}</p>}
      {usage !== null && (
        <p className={styles.usage}>
          <RecordedModel name={usage.model} />
          <span>{usage.stage}</span>
          <span>
            prompt {usage.promptVersion} <code title={usage.promptHash}>{usage.promptHash.slice(0, 12)}</code>
          </span>
          <span>
            {countText(usage.inputTokens)} → {countText(usage.outputTokens)} tokens
          </span>
          <span>{costText(usage.costUsd)}</span>
          <span>{latencyText(usage.latencyMs)}</span>
        </p>
      )}
    </>
  );
}

function Json({ value }: { value: unknown }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <pre className={styles.json} tabIndex={0}>
      {JSON.stringify(value, null, 2)
        .split("\n")
        .map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the lines of one fixed text have no other name
          <span key={index} className={styles.jsonLine}>
            <ExactText text={line} />
          </span>
        ))}
    </pre>
  );
}
