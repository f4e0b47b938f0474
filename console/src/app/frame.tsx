/** The frame of every page: skip link, navigation (a side column, or a bar at the bottom of a phone), and the content. */
import { ActionIcon } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef } from "react";
import { useLocation } from "wouter";
import { useSession, useSignOut } from "../session/session.ts";
import { Brand } from "./brand.tsx";
import { ColourScheme } from "./colour-scheme.tsx";
import styles from "./frame.module.css";
import { Icon } from "./icons.tsx";
import { CurrentModel } from "./model-name.tsx";
import { Navigation } from "./navigation.tsx";

export function Frame({ children }: { children: ReactNode }) {
  const main = useRef<HTMLElement>(null);
  useFocusOnNavigation(main);
  return (
    <div className={styles.frame}>
      <a className={styles.skip} href="#content">
        Skip to the content
      </a>
      <header className={styles.side}>
        <Brand />
        <Navigation />
        <div className={styles.foot}>
          <div className={styles.model}>
            <CurrentModel />
          </div>
          <Account />
        </div>
      </header>
      <main className={styles.main} id="content" ref={main} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

/** After a change of page the keyboard goes on in the content, not where the old page's control was. */
function useFocusOnNavigation(main: { current: HTMLElement | null }): void {
  const [path] = useLocation();
  const first = useRef(path);
  useEffect(() => {
    if (first.current === path) return;
    first.current = "";
    const element = main.current;
    element?.scrollTo(0, 0);
    if (element && !element.contains(document.activeElement)) element.focus({ preventScroll: true });
  }, [path, main]);
}

function Account() {
  const session = useSession();
  const signOut = useMutation({ mutationFn: useSignOut() });
  return (
    <div className={styles.account}>
      <span className={styles.person} title={session.roles.join(", ")}>
        {session.name}
      </span>
      <ColourScheme />
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={signOut.isError ? "Sign out: it did not work, try again" : "Sign out"}
        title="Sign out"
        loading={signOut.isPending}
        onClick={() => signOut.mutate()}
      >
        <Icon name="out" />
      </ActionIcon>
    </div>
  );
}
