/** One approval: exactly what will run, who asks, and the decision. What is shown is the stored row, never shortened. */
import { Anchor, Title } from "@mantine/core";
import { Link } from "wouter";
import type { ApprovalView } from "../../../gateway/api.ts";
import { useApproval } from "../api/queries.ts";
import { Icon } from "../app/icons.tsx";
import { Loading, Pill, Trouble } from "../app/states.tsx";
import { When } from "../app/when.tsx";
import styles from "./approval-card.module.css";
import { ArgumentList } from "./argument-list.tsx";
import { Countdown } from "./countdown.tsx";
import { DecisionForm } from "./decision-form.tsx";
import { ExactText } from "./exact-text.tsx";
import { statusWords } from "./status.ts";

export function ApprovalById({ approvalId }: { approvalId: string }) {
  const query = useApproval(approvalId);
  if (query.isPending) return <Loading label="Loading the approval" />;
  if (query.isError && query.data === undefined) {
    return <Trouble error={query.error} retry={() => query.refetch()} />;
  }
  return <ApprovalCard approval={query.data} />;
}

export function ApprovalCard({ approval, linked = false }: { approval: ApprovalView; linked?: boolean }) {
  const words = statusWords[approval.status];
  const headingId = `approval-${approval.id}`;
  return (
    <article className={styles.card} data-status={approval.status} aria-labelledby={headingId}>
      <header className={styles.head}>
        <Icon name="approvals" />
        <Title order={3} id={headingId} className={styles.title}>
          {approval.agent} asks to run <code className={styles.tool}>{approval.tool}</code>
        </Title>
        <Pill tone={words.tone}>{words.name}</Pill>
      </header>
      {approval.summary !== null && (
        <p className={styles.summary}>
          <ExactText text={approval.summary} />
        </p>
      )}
      <ArgumentList args={approval.args} label={`Arguments of ${approval.tool}`} />
      <Facts approval={approval} />
      {linked && (
        <Anchor component={Link} href={`/threads/${approval.threadId}`} size="sm">
          Open the thread
        </Anchor>
      )}
      {approval.status === "pending" ? (
        <DecisionForm approval={approval} key={approval.digest} />
      ) : (
        <Outcome approval={approval} />
      )}
    </article>
  );
}

function Facts({ approval }: { approval: ApprovalView }) {
  return (
    <dl className={styles.facts}>
      <Fact name="Asked for by">
        <ExactText text={approval.requesters.join(", ") || "nobody known"} />
      </Fact>
      <Fact name="Policy">{approval.policy}</Fact>
      <Fact name="Agreed">
        {approval.approvedBy.length} of {approval.quorum}
        {approval.approvedBy.length > 0 && ` (${approval.approvedBy.join(", ")})`}
      </Fact>
      {approval.status === "pending" && (
        <Fact name="Expires">
          {approval.expiresAt === null ? "never" : <Countdown until={approval.expiresAt} />}
        </Fact>
      )}
      <Fact name="Code">
        <code>{approval.code}</code>
      </Fact>
      <Fact name="Digest">
        <code title={approval.digest}>{approval.shortDigest}</code>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Outcome({ approval }: { approval: ApprovalView }) {
  const { past, tone } = statusWords[approval.status];
  return (
    <div className={styles.outcome} data-tone={tone}>
      <p>
        {past === "" ? "Nobody decided in time" : past}
        {approval.decidedBy !== null && ` by ${approval.decidedBy}`}
        {approval.decidedAt !== null && (
          <>
            {" · "}
            <When at={approval.decidedAt} />
          </>
        )}
      </p>
      {approval.reason !== null && approval.reason !== "" && (
        <p className={styles.reason}>
          <ExactText text={approval.reason} />
        </p>
      )}
    </div>
  );
}
