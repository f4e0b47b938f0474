/** The four verdicts. Approving is one press; the others open the field they need, below the buttons. */
import { Button } from "@mantine/core";
import { useState } from "react";
import type { ApprovalView } from "../../../gateway/api.ts";
import { Icon } from "../app/icons.tsx";
import { Trouble } from "../app/states.tsx";
import styles from "./approval-card.module.css";
import { EditForm } from "./edit-form.tsx";
import { ReasonForm } from "./reason-form.tsx";
import { useDecision } from "./use-decision.ts";

type Open = "reject" | "ask_back" | "edit" | null;

export function DecisionForm({ approval }: { approval: ApprovalView }) {
  const [open, setOpen] = useState<Open>(null);
  const { decide, isSending, error, verdict } = useDecision(approval.id, () => setOpen(null));
  const toggle = (which: Open) => setOpen((current) => (current === which ? null : which));
  const button = (which: Exclude<Open, null>, label: string) => (
    <Button
      variant="default"
      aria-expanded={open === which}
      disabled={isSending}
      onClick={() => toggle(which)}
    >
      {label}
    </Button>
  );

  return (
    <div className={styles.form}>
      <div className={styles.buttons}>
        <Button
          leftSection={<Icon name="check" size={16} />}
          loading={isSending && verdict === "approve"}
          disabled={isSending}
          onClick={() => decide({ verdict: "approve" })}
        >
          Approve
        </Button>
        {button("reject", "Reject…")}
        {button("edit", "Edit…")}
        {button("ask_back", "Ask back…")}
      </div>
      {open === "edit" && (
        <EditForm
          args={approval.args}
          tool={approval.tool}
          isSending={isSending}
          onSubmit={(args) => decide({ verdict: "edit", args })}
        />
      )}
      {(open === "reject" || open === "ask_back") && (
        <ReasonForm
          key={open}
          verdict={open}
          isSending={isSending}
          onSubmit={(reason) => decide({ verdict: open, reason })}
        />
      )}
      {error !== null && <Trouble error={error} />}
    </div>
  );
}
