/** A model's name; the stand-in that works without a key is named as such wherever the name is. */
import { useStatus } from "../api/queries.ts";
import styles from "./model-name.module.css";
import { Pill } from "./states.tsx";

/** What the server calls it, too: then the badge alone says it once. */
const standIn = "offline stand-in";

export function ModelName({ name, offline }: { name: string; offline: boolean }) {
  return (
    <span className={styles.model}>
      {(!offline || name !== standIn) && <span className={styles.name}>{name}</span>}
      {offline && <Pill tone="warn">{standIn}</Pill>}
    </span>
  );
}

/** The model in use now. */
export function CurrentModel() {
  const { data } = useStatus();
  return data === undefined ? null : <ModelName {...data.model} />;
}

/** A recorded call's model: the stand-in is known by the name that the status gives it. */
export function RecordedModel({ name }: { name: string }) {
  const { data } = useStatus();
  return <ModelName name={name} offline={data?.model.offline === true && data.model.name === name} />;
}
