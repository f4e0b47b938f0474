/** What stands where content will be: loading, nothing here yet, something is wrong. Each says what can be done. */
import { Button, Loader } from "@mantine/core";
import type { ReactNode } from "react";
import { ApiError } from "../api/client.ts";
import { Icon, type IconName } from "./icons.tsx";
import styles from "./states.module.css";

export type Tone = "neutral" | "accent" | "good" | "warn" | "bad";

export function Loading({ label }: { label: string }) {
  return (
    <div className={styles.center} role="status">
      <Loader size="sm" type="dots" aria-hidden="true" />
      <span className={styles.dim}>{label}…</span>
    </div>
  );
}

export function Empty(props: { icon: IconName; title: string; children?: ReactNode }) {
  return (
    <div className={styles.center}>
      <span className={styles.emblem}>
        <Icon name={props.icon} size={24} />
      </span>
      <strong>{props.title}</strong>
      {props.children && <div className={styles.dim}>{props.children}</div>}
    </div>
  );
}

export function Note({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <div className={styles.note} data-tone={tone} role={tone === "bad" ? "alert" : "status"}>
      {children}
    </div>
  );
}

/** An error in words: the problem's detail, and what was wrong with each field. */
export function Trouble({ error, retry }: { error: unknown; retry?: () => unknown }) {
  const problem = error instanceof ApiError ? error.problem : null;
  const detail = problem?.detail ?? (problem === null && error instanceof Error ? error.message : null);
  return (
    <Note tone="bad">
      <strong>{problem?.title ?? "Something went wrong"}</strong>
      {detail && detail !== problem?.title && <div>{detail}</div>}
      {problem?.errors && (
        <ul className={styles.errors}>
          {problem.errors.map(({ path, message }) => (
            <li key={`${path} ${message}`}>
              <code>{path}</code>: {message}
            </li>
          ))}
        </ul>
      )}
      {retry && (
        <Button size="compact-sm" variant="default" mt={8} onClick={() => void retry()}>
          Try again
        </Button>
      )}
    </Note>
  );
}

export function Pill({ tone = "neutral", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span className={styles.pill} data-tone={tone}>
      {children}
    </span>
  );
}
