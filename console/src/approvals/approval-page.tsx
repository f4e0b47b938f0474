/** One approval at an address of its own, for links in mails and messages. */
import { Anchor } from "@mantine/core";
import { Link } from "wouter";
import { useApproval } from "../api/queries.ts";
import { Page } from "../app/page.tsx";
import { ApprovalById } from "./approval-card.tsx";

export function ApprovalPage({ approvalId }: { approvalId: string }) {
  const threadId = useApproval(approvalId).data?.threadId;
  return (
    <Page
      title="Approval"
      actions={
        threadId && (
          <Anchor component={Link} href={`/threads/${threadId}`} size="sm">
            Open the thread
          </Anchor>
        )
      }
    >
      <ApprovalById approvalId={approvalId} />
    </Page>
  );
}
