import { useEffect, useLayoutEffect, useRef } from "react";

const nearPx = 120;

/** Keeps the newest in view, unless the reader has scrolled up to read something older. */
export function useStickToEnd(changes: readonly unknown[]) {
  const scroller = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const shownCards = useRef(new WeakSet<Element>());

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const onScroll = () => {
      isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < nearPx;
    };
    const toEnd = () => {
      if (isAtEnd.current) scrollToEnd(element, shownCards.current);
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
    if (element !== null && isAtEnd.current) scrollToEnd(element, shownCards.current);
    // biome-ignore lint/correctness/useExhaustiveDependencies: the caller says what makes it grow
  }, changes);

  return scroller;
}

/**
 * What waits for a decision is read from its beginning: a new card taller than the view shows its head, not its buttons.
 * Once for each card; what grows afterwards (a form that opens in it) must not take the reader away.
 */
function scrollToEnd(element: HTMLElement, shownCards: WeakSet<Element>): void {
  element.scrollTop = element.scrollHeight;
  const card = [...element.querySelectorAll<HTMLElement>('article[data-status="pending"]')].at(-1);
  if (card === undefined || shownCards.has(card)) return;
  shownCards.add(card);
  const hiddenPx = element.getBoundingClientRect().top - card.getBoundingClientRect().top;
  if (hiddenPx > 0) element.scrollTop -= hiddenPx + 16;
}
