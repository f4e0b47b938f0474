import { Anchor, Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import type { DeliveryView } from "../../../gateway/api.ts";
import { api } from "../api/endpoints.ts";
import { keys } from "../api/queries.ts";
import { Pill, type Tone, Trouble } from "../app/states.tsx";
import { When } from "../app/when.tsx";
import { bindingText, counted } from "../app/words.ts";
import styles from "./deliveries.module.css";
import { SettleDialog } from "./settle-dialog.tsx";

const tones: Record<DeliveryView["status"], Tone> = {
  pending: "neutral",
  sending: "accent",
  sent: "good",
  uncertain: "warn",
  failed: "bad",
};
const kinds: Record<DeliveryView["kind"], string> = {
  reply: "Reply",
  approval: "Approval request",
  approval_update: "Approval update",
  question: "Question",
  notice: "Notice",
};

export function DeliveryRow({ delivery }: { delivery: DeliveryView }) {
  const { status } = delivery;
  return (
    <li className={styles.row}>
      <div className={styles.head}>
        <strong>{kinds[delivery.kind]}</strong>
        <span className={styles.dim}>to {bindingText(delivery.binding)}</span>
        <Pill tone={tones[status]}>{status}</Pill>
      </div>
      <p className={styles.content}>{contentText(delivery)}</p>
      <p className={styles.dim}>
        <When at={delivery.updatedAt} /> · {counted(delivery.attempts, "attempt")}
        {delivery.receipt !== null && ` · receipt ${delivery.receipt}`}
        {" · "}
        <Anchor component={Link} href={`/threads/${delivery.threadId}`} size="sm">
          Open the thread
        </Anchor>
      </p>
      {delivery.error !== null && <p className={styles.error}>{delivery.error}</p>}
      {(status === "uncertain" || status === "failed") && <DeliveryActions delivery={delivery} />}
    </li>
  );
}

function DeliveryActions({ delivery }: { delivery: DeliveryView }) {
  const client = useQueryClient();
  const [isSettling, setSettling] = useState(false);
  const retry = useMutation({
    mutationFn: () => api.retryDelivery(delivery.id),
    onSettled: () => client.invalidateQueries({ queryKey: keys.deliveries }),
  });
  return (
    <>
      {delivery.status === "uncertain" && (
        <p className={styles.dim}>
          The platform did not say whether this arrived. Look there: settle it if it did, retry if it did not.
        </p>
      )}
      <div className={styles.actions}>
        <Button size="compact-sm" variant="default" loading={retry.isPending} onClick={() => retry.mutate()}>
          Retry
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => setSettling(true)}>
          Settle…
        </Button>
      </div>
      {retry.isError && <Trouble error={retry.error} />}
      <SettleDialog delivery={delivery} opened={isSettling} close={() => setSettling(false)} />
    </>
  );
}

/** Contents are versioned by kind; most have a text. */
function contentText({ content }: DeliveryView): string {
  return typeof content.text === "string" ? content.text : JSON.stringify(content);
}
