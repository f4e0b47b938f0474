/** Every argument in full, by name. Strings stand in quotes, so that "1" and 1, or "" and nothing, look different. */
import type { Json, JsonObject } from "../../../core/json.ts";
import styles from "./arguments.module.css";
import { ExactText } from "./exact-text.tsx";

export function ArgumentList({ args, label }: { args: JsonObject; label: string }) {
  const entries = Object.entries(args);
  if (entries.length === 0) return <p className={styles.none}>It runs without arguments.</p>;
  return (
    <dl className={styles.arguments} aria-label={label}>
      {entries.map(([name, value]) => (
        <div key={name} className={styles.argument}>
          <dt>
            <ExactText text={name} />
          </dt>
          <dd>
            <ExactValue value={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function ExactValue({ value }: { value: Json }) {
  if (typeof value === "string") {
    return (
      <>
        <span className={styles.quote}>"</span>
        <ExactText text={value} />
        <span className={styles.quote}>"</span>
      </>
    );
  }
  const lines = JSON.stringify(value, null, 2).split("\n");
  return lines.map((line, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the lines of one fixed text have no other name
    <div key={index} className={styles.line}>
      <ExactText text={line} />
    </div>
  ));
}
