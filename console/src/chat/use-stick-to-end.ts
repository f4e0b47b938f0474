import { useEffect, useLayoutEffect, useRef } from "react";

const nearPx = 120;

/** Keeps the newest in view, unless the reader has scrolled up to read something older. */
export function useStickToEnd(changes: readonly unknown[]) {
  const scroller = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const onScroll = () => {
      isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < nearPx;
    };
    const toEnd = () => {
      if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    /** Cards grow when their approval has loaded. */
    const observer = new ResizeObserver(toEnd);
    for (const child of element.children) observer.observe(child);
    return () => {
      element.removeEventListener("scroll", onScroll);
      observer.disconnect();
    };
  }, []);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight;
    // biome-ignore lint/correctness/useExhaustiveDependencies: the caller says what makes it grow
  }, changes);

  return scroller;
}
