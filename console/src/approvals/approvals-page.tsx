/** The inbox: what waits for a decision first, then what was decided. */
import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import { Link } from "wouter";
import type { ApprovalView } from "../../../gateway/api.ts";
import { useApprovals } from "../api/queries.ts";
import { PagedList } from "../app/more.tsx";
import { Page, Panel } from "../app/page.tsx";
import { Empty, Pill } from "../app/states.tsx";
import { When } from "../app/when.tsx";
import { ApprovalCard } from "./approval-card.tsx";
import styles from "./approvals-page.module.css";
import { statusWords } from "./status.ts";

export function ApprovalsPage() {
  const [shown, setShown] = useState<"pending" | "history">("pending");
  return (
    <Page
      title="Approvals"
      lead="What agents may do only after a person agreed. What a card shows is exactly what runs."
      actions={
        <SegmentedControl
          aria-label="Which approvals"
          value={shown}
          onChange={(value) => setShown(value === "history" ? "history" : "pending")}
          data={[
            { value: "pending", label: "Waiting" },
            { value: "history", label: "History" },
          ]}
        />
      }
    >
      {shown === "pending" ? <Pending /> : <History />}
    </Page>
  );
}

function Pending() {
  const { query, items } = useApprovals("pending");
  return (
    <PagedList
      query={query}
      what="approvals"
      count={items.length}
      empty={
        <Panel>
          <Empty icon="approvals" title="Nothing waits for you">
            When an agent wants to do something that matters, its approval appears here and in its thread.
          </Empty>
        </Panel>
      }
    >
      {items.map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} linked />
      ))}
    </PagedList>
  );
}

function History() {
  const { query, items } = useApprovals("");
  const decided = items.filter(({ status }) => status !== "pending");
  return (
    <Panel>
      <PagedList
        query={query}
        what="approvals"
        count={decided.length}
        empty={<Empty icon="approvals" title="Nothing has been decided yet" />}
      >
        <ul className={styles.history}>
          {decided.map((approval) => (
            <Decided key={approval.id} approval={approval} />
          ))}
        </ul>
      </PagedList>
    </Panel>
  );
}

function Decided({ approval }: { approval: ApprovalView }) {
  const { name, tone } = statusWords[approval.status];
  return (
    <li>
      <Link href={`/approvals/${approval.id}`} className={styles.decided}>
        <span className={styles.what}>
          <code>{approval.tool}</code>
          <span>{approval.summary ?? approval.agent}</span>
        </span>
        <span className={styles.who}>
          {approval.decidedBy && `${approval.decidedBy} · `}
          <When at={approval.decidedAt ?? approval.createdAt} />
        </span>
        <Pill tone={tone}>{name}</Pill>
      </Link>
    </li>
  );
}
