/** One polite live region for the whole console: what a screen reader should hear without the focus moving. */
import { VisuallyHidden } from "@mantine/core";
import { createContext, type ReactNode, use, useCallback, useState } from "react";

const AnnounceContext = createContext<(text: string) => void>(() => {});

export const useAnnounce = (): ((text: string) => void) => use(AnnounceContext);

export function Announcer({ children }: { children: ReactNode }) {
  const [said, setSaid] = useState({ text: "", count: 0 });
  const announce = useCallback((text: string) => setSaid(({ count }) => ({ text, count: count + 1 })), []);
  return (
    <AnnounceContext value={announce}>
      {children}
      <VisuallyHidden>
        <div aria-live="polite" data-testid="announcer">
          {/* A new element each time, so that the same words twice are heard twice. */}
          <span key={said.count}>{said.text}</span>
        </div>
      </VisuallyHidden>
    </AnnounceContext>
  );
}
