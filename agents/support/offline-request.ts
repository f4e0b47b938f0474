/** Reads what somebody wants of the support agent out of plain words, without a model. Pure. */

export type Request =
  | { kind: "person" }
  /** `amountCents` is null for all that can be refunded. */
  | { kind: "refund"; orderId: string; amountCents: number | null; reason: string }
  | { kind: "which_order" }
  | { kind: "order"; orderId: string }
  | { kind: "thanks" }
  | { kind: "hello" }
  | { kind: "question"; question: string };

const personPattern =
  /\b(talk|speak|chat|write|connect|hand|put|pass)\b.*\b(human|person|people|someone|somebody|staff|colleague|manager)\b|\b(real|actual|live) (human|person|agent)\b|^\W*(a )?(human|person)\b/;
const orderPattern = /\b[a-z]{1,3}-\d{3,10}\b/i;
const moneyPattern =
  /(?:€|\$|£)\s*(\d{1,7}(?:[.,]\d{1,2})?)|\b(\d{1,7}(?:[.,]\d{1,2})?)\s*(?:€|eur|euros?|\$|usd|dollars?)/i;
const questionPattern = /^\W*(how|what|when|where|why|which|who|can|could|do|does|is|are|may|will)\b|\?\s*$/;
const maxQuestionCharacters = 500;
const maxReasonCharacters = 500;

export function readRequest(message: string): Request {
  const lower = message.toLowerCase();
  const orderId = orderPattern.exec(message)?.[0].toUpperCase();
  if (personPattern.test(lower)) return { kind: "person" };
  if (/\brefund(ed|s)?\b|\bmoney back\b|\breimburse\b/.test(lower)) {
    if (orderId !== undefined) {
      return { kind: "refund", orderId, amountCents: readMoney(message), reason: reasonOf(message) };
    }
    if (!questionPattern.test(lower)) return { kind: "which_order" };
  }
  if (orderId !== undefined) return { kind: "order", orderId };
  if (/^\W*(thanks|thank you|thx|cheers)\b/.test(lower)) return { kind: "thanks" };
  if (/^\W*(hi|hello|hey|help|good (morning|evening|afternoon))?\W*$/.test(lower)) return { kind: "hello" };
  return { kind: "question", question: message.trim().slice(0, maxQuestionCharacters) };
}

function readMoney(message: string): number | null {
  const match = moneyPattern.exec(message);
  const digits = match?.[1] ?? match?.[2];
  return digits === undefined ? null : Math.round(Number(digits.replace(",", ".")) * 100);
}

/** What comes after "because", or the whole message. */
function reasonOf(message: string): string {
  const [, because] = /\b(?:because|since|as)\b\s+(.+)/is.exec(message) ?? [];
  return (because ?? message).trim().slice(0, maxReasonCharacters);
}
