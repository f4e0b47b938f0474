/** Where a message is written: Enter sends, Shift+Enter starts a line, an input method's Enter does neither. */
import { ActionIcon, Textarea } from "@mantine/core";
import { type FormEvent, type KeyboardEvent, useState } from "react";
import { Icon } from "../app/icons.tsx";
import styles from "./composer.module.css";

const maxCharacters = 10_000;

interface ComposerProps {
  label: string;
  isBusy?: boolean;
  autoFocus?: boolean;
  onSend: (text: string) => void;
}

export function Composer({ label, isBusy = false, autoFocus = false, onSend }: ComposerProps) {
  const [text, setText] = useState("");
  const isEmpty = text.trim() === "";
  const send = () => {
    if (isEmpty || isBusy) return;
    onSend(text.trim());
    setText("");
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form className={styles.composer} onSubmit={submit}>
      <Textarea
        className={styles.field}
        aria-label={label}
        placeholder={`${label}…`}
        description={
          text.length > maxCharacters - 500 ? `${maxCharacters - text.length} characters left` : undefined
        }
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        maxLength={maxCharacters}
        autosize
        minRows={1}
        maxRows={10}
        size="md"
        autoFocus={autoFocus}
      />
      <ActionIcon type="submit" size={42} aria-label="Send" title="Send (Enter)" disabled={isEmpty || isBusy}>
        <Icon name="send" size={20} />
      </ActionIcon>
    </form>
  );
}
