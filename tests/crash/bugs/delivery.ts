/** Bugs of the outbox and of delivery. */
import { type Bug, kill, noFaults } from "./bug.ts";

export const deliveryBugs: readonly Bug[] = [
  {
    name: "row_not_claimed",
    what: "an outbox row is sent without being claimed, and two bells ring for it",
    caughtBy: ["sent_once"],
    faults: noFaults,
    statements: [
      { name: "outbox_claim", from: "set status = 'sending'", to: "set status = 'pending'" },
      { name: "outbox_claim", from: "for update of o skip locked", to: "" },
      {
        name: "outbox_record",
        from: "and claim_token = $2 and status = 'sending'",
        to: "and $2::text is not null",
      },
    ],
    change: ({ doorbell }) => ({
      doorbell: {
        ...doorbell,
        async ringDelivery(threadId, delayMs) {
          await Promise.all([
            doorbell.ringDelivery(threadId, delayMs),
            doorbell.ringDelivery(threadId, delayMs, true),
          ]);
        },
      },
    }),
  },
  {
    name: "blind_resend",
    what: "after an unknown outcome the message is sent again without a look",
    caughtBy: ["sent_once"],
    faults: (dice) => [{ kind: "send_dropped", k: 1 + dice.pick(2), moment: "after" }],
    statements: [
      {
        name: "outbox_claim",
        from: "(free.was = 'sending' or o.ambiguous) as maybe_sent",
        to: "false as maybe_sent",
      },
    ],
  },
  {
    name: "dead_claim_not_looked_up",
    what: "the row of a worker that died while it sent is sent again without a look",
    caughtBy: ["sent_once"],
    faults: (dice) => [kill("worker", "channel.send", 1 + dice.pick(2), "after")],
    statements: [{ name: "outbox_claim", from: "(free.was = 'sending' or o.ambiguous)", to: "o.ambiguous" }],
  },
  {
    name: "find_says_absent",
    what: "a platform that cannot tell is taken for one that has nothing",
    caughtBy: ["sent_once"],
    faults: (dice) => [{ kind: "send_dropped", k: 1 + dice.pick(2), moment: "after" }],
    change: ({ channels }) => ({
      channels: channels.map((channel) => ({ ...channel, find: async () => "absent" as const })),
    }),
  },
  {
    name: "uncertain_counts_as_sent",
    what: "an entry whose outcome nobody knows is recorded as sent",
    caughtBy: ["acknowledged_is_answered", "comes_to_rest"],
    faults: (dice) => [
      dice.chance(50)
        ? { kind: "send_dropped", k: 1, moment: "before" }
        : kill("worker", "channel.send", 1, "before"),
    ],
    change: ({ outbox }) => ({
      outbox: {
        ...outbox,
        record: (entry, outcome) =>
          outbox.record(entry, outcome.status === "uncertain" ? { status: "sent", receipt: "" } : outcome),
      },
    }),
  },
  {
    name: "any_order",
    what: "of a thread's entries any one is sent first",
    caughtBy: ["in_order"],
    faults: (dice) => [
      { kind: "send_dropped", k: 1, moment: "before" },
      { kind: "send_dropped", k: 2 + dice.pick(2), moment: "before" },
    ],
    statements: [
      { name: "outbox_claim", from: "order by position limit 1", to: "order by position desc limit 1" },
    ],
  },
  {
    name: "card_shows_something_else",
    what: "an approval card does not show the arguments that will run",
    caughtBy: ["effects_are_approved"],
    answers: ["approve"],
    faults: noFaults,
    change: ({ log }) => ({
      log: {
        ...log,
        commit: (lease, state, commit) =>
          log.commit(lease, state, {
            ...commit,
            outbox:
              commit.outbox?.map((entry) => {
                if (entry.kind !== "approval") return entry;
                const args = { ...(entry.content.args as object), amount: 0 };
                return { ...entry, content: { ...entry.content, args } };
              }) ?? [],
          }),
      },
    }),
  },
];
