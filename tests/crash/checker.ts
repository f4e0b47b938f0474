/**
 * Says whether a run kept DESIGN section 7's promises. It sees the platform's ledger, the tools' ledger, the model's log
 * and the client's log, and for what did not go out the page on which a user would look that up; never the database.
 */
import { z } from "zod";
import { canonicalJson } from "../../core/json.ts";
import { type Deciding, type History, leaseMs, type Posted, type ToolRun, type Violation } from "./words.ts";

type Check = (history: History) => Violation[];

export function check(history: History): Violation[] {
  return checks.flatMap((each) => each(history));
}

/** The labels a reply names, when it is one of the model's. */
const labelsOf = (content: { text?: unknown }): string[] =>
  typeof content.text === "string" && content.text.startsWith("re:")
    ? content.text.slice(3).trim().split(" ")
    : [];

const visibleReplies = ({ posted }: History): Posted[] =>
  posted.filter(({ kind, visible }) => kind === "reply" && visible);

/** Promises 1 and 3: what was acknowledged has a visible outcome. */
const acknowledgedIsAnswered: Check = (history) =>
  history.sendings
    .filter(({ ackedMs, label }) => ackedMs !== null && !label.startsWith("q-"))
    .filter(({ label, anchor }) => !hasOutcome(history, label, anchor))
    .map(({ label }) => ({
      promise: 1,
      check: "acknowledged_is_answered",
      what: `${label} was acknowledged and never answered${history.unquiet === null ? "" : ` (${history.unquiet})`}`,
    }));

export function hasOutcome(
  history: Pick<History, "posted" | "troubles">,
  label: string,
  anchor: string,
): boolean {
  const here = history.posted.filter((entry) => entry.anchor === anchor && entry.kind === "reply");
  if (here.some(({ content }) => labelsOf(content).includes(label))) return true;
  // What code says in the model's place answers all that was there.
  if (here.some(({ content }) => labelsOf(content).length === 0)) return true;
  return history.troubles.some(
    (trouble) => trouble.anchor === anchor && JSON.stringify(trouble.content).includes(label),
  );
}

const quiet: Check = ({ unquiet }) =>
  unquiet === null
    ? []
    : [{ promise: 1, check: "comes_to_rest", what: `the run did not come to rest: ${unquiet}` }];

/** Promise 2: a message is answered once, and what it asks for is begun under one call. */
const answeredOnce: Check = (history) => {
  const counts = new Map<string, number>();
  const replies = new Map(visibleReplies(history).map((entry) => [entry.deliveryId, entry]));
  for (const { content, anchor } of replies.values())
    for (const label of labelsOf(content)) {
      const key = `${anchor} ${label}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  return [...counts]
    .filter(([, count]) => count > 1)
    .map(([label, count]) => ({
      promise: 2,
      check: "answered_once",
      what: `${label} was answered ${count} times`,
    }));
};

const calledOnce: Check = ({ tools }) =>
  [...grouped(tools, ({ id }) => id)]
    .filter(([, runs]) => new Set(runs.map(({ callId }) => callId)).size > 1)
    .map(([id, runs]) => ({
      promise: 2,
      check: "called_once",
      what: `${id} was begun under ${new Set(runs.map(({ callId }) => callId)).size} calls`,
    }));

/** Promise 8: the platforms that would show it never got the same thing twice. */
const sentOnce: Check = ({ posted }) =>
  [
    ...grouped(
      posted.filter(({ visible }) => visible),
      ({ deliveryId }) => deliveryId,
    ),
  ]
    .filter(([, entries]) => entries.length > 1)
    .map(([, entries]) => ({
      promise: 8,
      check: "sent_once",
      what: `${entries[0]?.platform} shows ${JSON.stringify(entries[0]?.content).slice(0, 120)} ${entries.length} times`,
    }));

/** Promise 9, and the same for what has a key: a key never changes. */
const onceIsOnce: Check = ({ tools }) =>
  [
    ...grouped(
      tools.filter(({ tool }) => tool === "launch"),
      ({ id }) => id,
    ),
  ]
    .filter(([, runs]) => runs.length > 1)
    .map(([id, runs]) => ({
      promise: 9,
      check: "once_is_once",
      what: `launch ${id} ran ${runs.length} times`,
    }));

const keyedIsOnce: Check = ({ tools }) =>
  [
    ...grouped(
      tools.filter(({ tool, effective }) => tool === "charge" && effective),
      ({ id }) => id,
    ),
  ]
    .filter(([, runs]) => runs.length > 1)
    .map(([id, runs]) => ({
      promise: 9,
      check: "key_is_kept",
      what: `charge ${id} took effect ${runs.length} times`,
    }));

/** Promises 5 and 6. */
const effectsAreApproved: Check = (history) => {
  const guarded = guardedCalls(history);
  return history.tools.flatMap((run): Violation[] => {
    const plan = guarded.get(run.id);
    if (plan === undefined) return [];
    const reason = whyUnapproved(history, run, plan);
    return reason === null
      ? []
      : [{ promise: 5, check: "effects_are_approved", what: `${run.tool} ${run.id} ran ${reason}` }];
  });
};

function guardedCalls({ story }: History): Map<string, string> {
  const calls = story.threads.flatMap(({ messages }) => messages.flatMap((each) => each.calls));
  return new Map(calls.flatMap(({ id, answers }) => (answers === null ? [] : [[id, answers] as const])));
}

const refusals = ["already", "forbidden", "not_found"];

function whyUnapproved({ decidings, posted, troubles }: History, run: ToolRun, plan: string): string | null {
  const mine = decidings.filter(({ id, atMs }) => id === run.id && atMs <= run.beginMs);
  const possible = mine.filter(({ outcome }) => outcome === null || !refusals.includes(outcome));
  const yes = possible.filter(({ verdict }) => verdict === "approve" || verdict === "edit");
  if (yes.length === 0) return "without an approval";
  if (mine.some(({ verdict, outcome }) => verdict === "reject" && outcome === "decided"))
    return "although it was rejected";
  if (plan === "quorum" && new Set(yes.map(({ person }) => person)).size < 2)
    return "with one approval of two";
  if (plan === "not_requester" && yes.every(({ person }) => person === "ann"))
    return "approved by who asked for it";
  const cards = [...posted, ...troubles].filter(
    ({ kind, content }) => kind === "approval" && idOf(content) === run.id,
  );
  const settled = yes.filter(({ outcome }) => outcome === "decided");
  const allowed = (settled.length > 0 ? settled : yes).flatMap((each) =>
    each.verdict === "edit" ? [each.args] : cards.map(({ content }) => content.args),
  );
  const ran = canonicalJson(run.args);
  return allowed.some((args) => args != null && canonicalJson(args) === ran)
    ? null
    : `with ${ran}, which nobody approved`;
}

const withId = z.looseObject({ args: z.looseObject({ id: z.string() }) });
const idOf = (content: unknown): string | null => {
  const read = withId.safeParse(content);
  return read.success ? read.data.args.id : null;
};

/** Promise 6: of all who decide on one request, one wins. */
const oneDecision: Check = ({ decidings }) =>
  [
    ...grouped(
      decidings.filter(({ outcome, verdict }) => outcome === "decided" && verdict !== "ask_back"),
      ({ approvalId }) => approvalId,
    ),
  ]
    .filter(([, won]) => won.length > 1)
    .map(([, won]) => ({
      promise: 6,
      check: "one_decision_wins",
      what: `${won.map(({ person, verdict }) => `${person}'s ${verdict}`).join(" and ")} on ${won[0]?.id} were both taken`,
    }));

/** Promise 5: what has expired is not taken any more, and what was taken is done. */
const expiredIsExpired: Check = (history) => {
  const guarded = guardedCalls(history);
  return history.decidings
    .filter(
      ({ id, outcome }) => guarded.get(id) === "expire" && (outcome === "decided" || outcome === "counted"),
    )
    .map(({ id, verdict }) => ({
      promise: 5,
      check: "expired_is_expired",
      what: `${verdict} of ${id} was taken after it had expired`,
    }));
};

const approvedIsDone: Check = (history) =>
  history.decidings
    .filter(({ outcome, verdict }) => outcome === "decided" && (verdict === "approve" || verdict === "edit"))
    .filter(({ id }) => !history.tools.some((run) => run.id === id) && !isExcused(history, id))
    .map((deciding: Deciding) => ({
      promise: 5,
      check: "approved_is_done",
      what: `${deciding.verdict} of ${deciding.id} was taken, and nothing ran`,
    }));

/** A person was asked whether it happened, or the tool's own system did not take it. */
const isExcused = ({ posted, troubles, story }: History, id: string): boolean =>
  story.faults.some(({ kind }) => kind === "tool_dropped") ||
  [...posted, ...troubles].some(
    ({ kind, content }) => kind === "question" && JSON.stringify(content).includes(id),
  );

/** Promise 10: what was said first is answered first. */
const inOrder: Check = (history) => {
  const replies = visibleReplies(history);
  const placeOf = (label: string): number =>
    replies.findIndex(({ content }) => labelsOf(content).includes(label));
  const { sendings } = history;
  return sendings.flatMap((earlier) =>
    sendings
      .filter(
        (later) =>
          later.anchor === earlier.anchor && earlier.ackedMs !== null && earlier.ackedMs < later.atMs,
      )
      .filter((later) => placeOf(later.label) >= 0 && placeOf(earlier.label) > placeOf(later.label))
      .map((later) => ({
        promise: 10,
        check: "in_order",
        what: `${later.label} was answered before ${earlier.label}`,
      })),
  );
};

/**
 * Promises 7 and 10: two processes that were both alive did not think or act in one thread at the same time. Where a
 * process could not run for a good part of a lease, its lease may have ended: then nothing can be said.
 */
const oneAtATime: Check = ({ models, tools, story, hit, lateMs }) => {
  const alive = Object.entries(lateMs).filter(([pid]) => !hit.includes(Number(pid)));
  if (alive.some(([, late]) => late > leaseMs / 4)) return [];
  if (story.faults.some(({ kind }) => kind === "postgres_stop" || kind === "cut")) return [];
  const acts = [
    ...models,
    ...tools.map((run) => ({ ...run, anchor: /r\d+t\d+/.exec(run.id)?.[0] ?? "" })),
  ].filter(({ pid }) => !hit.includes(pid));
  return acts.flatMap((one) =>
    acts
      .filter((other) => other.anchor === one.anchor && other.pid !== one.pid)
      .filter(
        ({ beginMs }) =>
          beginMs >= one.beginMs && beginMs < Math.min(one.endMs ?? beginMs, one.beginMs + leaseMs / 4),
      )
      .map(({ pid, anchor }) => ({
        promise: 10,
        check: "one_at_a_time",
        what: `processes ${one.pid} and ${pid} worked on ${anchor} at the same time`,
      })),
  );
};

const checks: readonly Check[] = [
  acknowledgedIsAnswered,
  quiet,
  answeredOnce,
  calledOnce,
  sentOnce,
  onceIsOnce,
  keyedIsOnce,
  effectsAreApproved,
  oneDecision,
  expiredIsExpired,
  approvedIsDone,
  inOrder,
  oneAtATime,
];

function grouped<T>(list: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
