/**
 * The fake platform's own record: what was sent into each conversation and what came back, and whether that is right.
 * It reads no database of ours. Each reply lists the numbers of the messages that the model saw (cast.ts); a right
 * history has replies that each list 1 to some number without a gap, that number never falls, and it ends with the last.
 */

export interface History {
  /** @returns the number of this message in its conversation. */
  sent(conversation: string): number;
  /** @param at time of the send at the worker, on a clock that all processes share. */
  replied(conversation: string, reply: { id: string; text: string; at: number }): void;
  verdict(): Verdict;
}

export interface Verdict {
  sent: number;
  replies: number;
  /** Messages that no reply has seen. */
  lost: number;
  /** Replies that saw messages in another order than they were sent, or came in the wrong order. */
  disordered: number;
  /** Replies that say nothing new. A send that is repeated under its id is none: the platform takes the id as its key. */
  doubled: number;
  examples: string[];
}

export const isClean = ({ lost, disordered, doubled }: Verdict): boolean => lost + disordered + doubled === 0;

interface Conversation {
  sent: number;
  replies: { id: string; text: string; at: number }[];
}

const mostExamples = 5;

export function openHistory(): History {
  const conversations = new Map<string, Conversation>();
  const of = (name: string): Conversation => {
    const known = conversations.get(name) ?? { sent: 0, replies: [] };
    conversations.set(name, known);
    return known;
  };
  return {
    sent(name) {
      const conversation = of(name);
      conversation.sent += 1;
      return conversation.sent;
    },
    replied(name, reply) {
      of(name).replies.push(reply);
    },
    verdict() {
      const total: Verdict = { sent: 0, replies: 0, lost: 0, disordered: 0, doubled: 0, examples: [] };
      for (const [name, conversation] of conversations) count(total, name, conversation);
      return total;
    },
  };
}

function count(total: Verdict, name: string, { sent, replies }: Conversation): void {
  let seen = 0;
  let wrong = 0;
  const known = new Set<string>();
  for (const { id, text } of replies.toSorted((a, b) => a.at - b.at)) {
    if (known.has(id)) continue;
    known.add(id);
    const last = lastOf(text);
    if (last === null || last < seen) wrong += 1;
    else if (last === seen) total.doubled += 1;
    else seen = last;
  }
  total.sent += sent;
  total.replies += replies.length;
  total.lost += Math.max(0, sent - seen);
  total.disordered += wrong;
  if ((wrong > 0 || seen < sent) && total.examples.length < mostExamples) {
    total.examples.push(`${name}: ${sent} sent, replies ${replies.map(({ text }) => `[${text}]`).join(" ")}`);
  }
}

/** The n of "1,2,...,n"; null for any other text. */
function lastOf(text: string): number | null {
  const numbers = text.split(",").map(Number);
  return numbers.every((number, at) => number === at + 1) ? numbers.length : null;
}
