/** A page: its heading, the window's title, and the width at which text stays readable. */
import { Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import styles from "./page.module.css";

export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = title === "" ? "Parley" : `${title} · Parley`;
  }, [title]);
}

export function Page(props: { title: string; lead?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  usePageTitle(props.title);
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <div className={styles.words}>
          <Title order={1}>{props.title}</Title>
          {props.lead && <p className={styles.lead}>{props.lead}</p>}
        </div>
        {props.actions}
      </header>
      {props.children}
    </div>
  );
}

export function Panel({ title, children }: { title?: string; children: ReactNode }) {
  return (
    <section className={styles.panel}>
      {title && (
        <Title order={2} className={styles.panelTitle}>
          {title}
        </Title>
      )}
      {children}
    </section>
  );
}
