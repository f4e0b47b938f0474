/**
 * Messages on their way. Each keeps one idempotency key over all its attempts, so that a retry after a lost answer never
 * sends it twice. It leaves this list when the log shows it.
 */
import { useCallback, useEffect, useState } from "react";
import type { EventView } from "../../../gateway/api.ts";
import { isRetryable } from "../api/queries.ts";

export interface Sending {
  key: string;
  text: string;
  /** Null while an attempt is under way or its event is awaited. */
  error: unknown;
  /** The log's end when it was written: only a later event can be it. */
  afterSeq: number;
}

const retryDelaysMs = [500, 2_000];

/** Tries again what is safe to repeat and may work later, a bounded number of times. */
export async function withRetries<T>(attempt: () => Promise<T>): Promise<T> {
  for (const delayMs of retryDelaysMs) {
    try {
      return await attempt();
    } catch (error) {
      if (!isRetryable(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
  return attempt();
}

type Post = (body: { text: string; idempotencyKey: string }) => Promise<unknown>;

export function useSending(events: readonly EventView[], post: Post) {
  const [sending, setSending] = useState<Sending[]>([]);
  const lastSeq = events.at(-1)?.seq ?? 0;

  useEffect(() => setSending((list) => withoutArrived(list, events)), [events]);

  const attempt = useCallback(
    async ({ key, text }: Sending) => {
      const change = (error: unknown) =>
        setSending((list) => list.map((item) => (item.key === key ? { ...item, error } : item)));
      change(null);
      try {
        await withRetries(() => post({ text, idempotencyKey: key }));
      } catch (error) {
        change(error);
      }
    },
    [post],
  );

  const send = (text: string) => {
    const item: Sending = { key: crypto.randomUUID(), text, error: null, afterSeq: lastSeq };
    setSending((list) => [...list, item]);
    void attempt(item);
  };
  const discard = (key: string) => setSending((list) => list.filter((item) => item.key !== key));
  return { sending, send, retry: attempt, discard };
}

/** By the key where the log carries it, else by the text: one event takes one message off the list. */
export function withoutArrived(list: Sending[], events: readonly EventView[]): Sending[] {
  if (list.length === 0) return list;
  const taken = new Set<number>();
  const left = list.filter((item) => {
    const arrival = events.findLast(
      (event) =>
        event.type === "message_received" &&
        event.seq > item.afterSeq &&
        !taken.has(event.seq) &&
        (event.data.messageId.includes(item.key) || event.data.text.trim() === item.text.trim()),
    );
    if (arrival !== undefined) taken.add(arrival.seq);
    return arrival === undefined;
  });
  return left.length === list.length ? list : left;
}
