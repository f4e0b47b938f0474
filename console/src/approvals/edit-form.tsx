/**
 * Other arguments than the proposed ones. Hidden characters are escaped in the editor, and what the text parses to is shown
 * below it the way every card shows arguments: that, not the text, is what will run.
 */
import { Button, Textarea } from "@mantine/core";
import { type FormEvent, useState } from "react";
import type { JsonObject } from "../../../core/json.ts";
import { editableJson } from "../visible-text.ts";
import styles from "./approval-card.module.css";
import { ArgumentList } from "./argument-list.tsx";
import { readArguments } from "./read-arguments.ts";

interface EditFormProps {
  args: JsonObject;
  tool: string;
  isSending: boolean;
  onSubmit: (args: JsonObject) => void;
}

export function EditForm({ args, tool, isSending, onSubmit }: EditFormProps) {
  const [text, setText] = useState(() => editableJson(args));
  const read = readArguments(text);
  const isChanged = read.ok && JSON.stringify(read.args) !== JSON.stringify(args);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (read.ok && isChanged) onSubmit(read.args);
  };
  return (
    <form className={styles.form} onSubmit={submit}>
      <Textarea
        label="Arguments as JSON"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        error={read.ok ? undefined : read.problem}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 13 } }}
        autosize
        minRows={3}
        maxRows={20}
        spellCheck={false}
        autoFocus
      />
      {read.ok && isChanged && (
        <>
          <p className={styles.dim}>This will run instead:</p>
          <ArgumentList args={read.args} label={`Edited arguments of ${tool}`} />
        </>
      )}
      <div className={styles.buttons}>
        <Button type="submit" disabled={!isChanged} loading={isSending}>
          Approve with these arguments
        </Button>
      </div>
    </form>
  );
}
