import { useEffect, useRef } from "react";
import { useAnnounce } from "../app/announce.tsx";
import type { Item } from "./conversation.ts";

const maxCharacters = 300;

/** Says what arrives while the thread is open: replies, others' messages, approvals and questions. */
export function useAnnounceNew(items: Item[], isReady: boolean): void {
  const announce = useAnnounce();
  const heardSeq = useRef<number | null>(null);
  useEffect(() => {
    if (!isReady) return;
    const last = items.at(-1)?.seq ?? 0;
    const since = heardSeq.current;
    heardSeq.current = last;
    if (since === null) return;
    const words = items.filter((item) => item.seq > since).map(spoken);
    const text = words.filter((word) => word !== "").join(" ");
    if (text !== "") announce(text);
  }, [items, isReady, announce]);
}

function spoken(item: Item): string {
  switch (item.kind) {
    case "reply":
      return `${item.from}: ${item.text.slice(0, maxCharacters)}`;
    case "message":
      return item.isOwn ? "" : `${item.from}: ${item.text.slice(0, maxCharacters)}`;
    case "question":
      return `${item.from} asks: ${item.question.text.slice(0, maxCharacters)}`;
    case "approval":
      return "An approval waits for a decision.";
    case "note":
      return item.text;
    case "tool":
      return "";
  }
}
