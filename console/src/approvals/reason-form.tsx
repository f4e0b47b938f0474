import { Button, Textarea } from "@mantine/core";
import { type FormEvent, useState } from "react";
import styles from "./approval-card.module.css";

const words = {
  reject: { label: "Why not? The agent reads this and answers to it.", button: "Reject" },
  ask_back: { label: "What do you want to know first? The approval stays open.", button: "Ask" },
};

interface ReasonFormProps {
  verdict: "reject" | "ask_back";
  isSending: boolean;
  onSubmit: (reason: string) => void;
}

export function ReasonForm({ verdict, isSending, onSubmit }: ReasonFormProps) {
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (reason.trim() === "") setMissing(true);
    else onSubmit(reason.trim());
  };
  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <Textarea
        label={words[verdict].label}
        value={reason}
        onChange={(event) => {
          setReason(event.currentTarget.value);
          setMissing(false);
        }}
        error={missing ? "Write a few words first." : undefined}
        maxLength={2000}
        autosize
        minRows={2}
        maxRows={8}
        autoFocus
        required
      />
      <div className={styles.buttons}>
        <Button type="submit" color={verdict === "reject" ? "red.9" : "pine"} loading={isSending}>
          {words[verdict].button}
        </Button>
      </div>
    </form>
  );
}
