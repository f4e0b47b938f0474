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
      if (isAtEnd.current) scrollToEnd(element);
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
    if (element !== null && isAtEnd.current) scrollToEnd(element);
    // biome-ignore lint/correctness/useExhaustiveDependencies: the caller says what makes it grow
  }, changes);

  return scroller;
}

/** What waits for a decision is read from its beginning, so a card taller than the view shows its head, not its buttons. */
function scrollToEnd(element: HTMLElement): void {
  const card = [...element.querySelectorAll<HTMLElement>('article[data-status="pending"]')].at(-1);
  element.scrollTop = element.scrollHeight;
  if (card === undefined) return;
  const hiddenPx = element.getBoundingClientRect().top - card.getBoundingClientRect().top;
  if (hiddenPx > 0 && card.offsetHeight > element.clientHeight) element.scrollTop -= hiddenPx + 16;
}
