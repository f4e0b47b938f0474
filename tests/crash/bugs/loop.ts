/** Bugs of the log and the loop: leases, fences, commits, tools. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { StaleLeaseError } from "../../../core/errors.ts";
import type { Commit } from "../../../core/ports.ts";
import { ids } from "../../../gateway/ids.ts";
import { type Bug, freeze, kill, noFaults } from "./bug.ts";

const unanswered = ["acknowledged_is_answered", "comes_to_rest"];

export const loopBugs: readonly Bug[] = [
  {
    name: "no_fence",
    what: "a commit does not check whether its worker still holds the thread",
    caughtBy: ["answered_once", "called_once", "once_is_once"],
    faults: (dice) => [freeze("log.commit", 1 + dice.pick(2), "before")],
    statements: [
      {
        name: "commit",
        from: "and lease_owner = $2 and lease_fence = $3",
        to: "and $2::text || $3 is not null",
      },
    ],
    change: ({ log }) => ({
      log: {
        ...log,
        async commit(lease, state, commit) {
          try {
            return await log.commit(lease, state, commit);
          } catch (error) {
            if (!(error instanceof StaleLeaseError)) throw error;
            return { outcome: "moved", state: await log.catchUp(lease.threadId, state) };
          }
        },
      },
    }),
  },
  {
    name: "lease_for_everybody",
    what: "a thread that is held can be leased by another worker, and two bells ring for it",
    caughtBy: ["one_at_a_time", "called_once", "answered_once"],
    faults: noFaults,
    statements: [{ name: "lease", from: "and (lease_owner is null or lease_until < now())", to: "" }],
    change: ({ doorbell }) => ({
      doorbell: {
        ...doorbell,
        async ringThread(threadId) {
          await Promise.all([doorbell.ringThread(threadId), doorbell.ringThread(threadId, true)]);
        },
      },
    }),
  },
  {
    name: "lease_for_ever",
    what: "the lease of a dead worker does not run out",
    caughtBy: unanswered,
    faults: () => [kill("worker", "log.lease", 1, "after")],
    statements: [{ name: "lease", from: "or lease_until < now()", to: "" }],
  },
  {
    name: "commit_repeated_after_error",
    what: "a commit whose answer was lost is written once more, under a new lease",
    caughtBy: ["answered_once", "called_once", "once_is_once"],
    faults: (dice) => [{ kind: "cut", statement: "commit", k: 1 + dice.pick(3), moment: "after" }],
    change: ({ log }) => ({
      log: {
        ...log,
        async commit(lease, state, commit) {
          try {
            return await log.commit(lease, state, commit);
          } catch (error) {
            if (error instanceof StaleLeaseError) throw error;
            const outbox = commit.outbox?.map((entry) => ({ ...entry, outboxId: ids.next() })) ?? [];
            const again: Commit = { ...commit, outbox, modelCalls: [], onlyIfUnmoved: false };
            await log.abandon(lease);
            const fresh = await log.lease(lease.threadId, lease.owner, 5_000);
            if (fresh === null) throw error;
            return log.commit(fresh.lease, fresh.state, again);
          }
        },
      },
    }),
  },
  {
    name: "run_ends_without_reply",
    what: "the reply is in the log but not in the outbox",
    caughtBy: unanswered,
    faults: noFaults,
    change: ({ log }) => ({
      log: {
        ...log,
        commit: (lease, state, commit) =>
          log.commit(lease, state, {
            ...commit,
            outbox: commit.outbox?.filter(({ kind }) => kind !== "reply") ?? [],
          }),
      },
    }),
  },
  {
    name: "reply_of_the_partial",
    what: "what goes out is the text that was streamed so far",
    caughtBy: unanswered,
    faults: noFaults,
    change: ({ model }) => ({
      model: {
        ...model,
        async decide(request, options) {
          let partial: string | null = null;
          const answer = await model.decide(request, {
            ...options,
            onPartial: (text) => {
              partial = text;
            },
          });
          if (partial === null) return answer;
          const output = { step: { intent: "reply", reasoning: "", confidence: 1, text: `re:${partial}` } };
          return { ...answer, output };
        },
      },
    }),
  },
  {
    name: "once_runs_again",
    what: "a `once` tool is recovered as if it were idempotent",
    caughtBy: ["once_is_once"],
    tools: ["launch"],
    faults: () => [kill("worker", "tool.run", 1, "after")],
    change: ({ tools }) => ({
      tools: tools.map((tool) => (tool.effect === "once" ? { ...tool, effect: "idempotent" } : tool)),
    }),
  },
  {
    name: "fresh_key_each_attempt",
    what: "a keyed tool gets another key when it runs again",
    caughtBy: ["key_is_kept"],
    tools: ["charge"],
    faults: () => [kill("worker", "tool.run", 1, "after")],
    change: ({ tools }) => ({
      tools: tools.map((tool) => ({
        ...tool,
        run: (args, context) => tool.run(args, { ...context, idempotencyKey: randomUUID() }),
      })),
    }),
  },
  {
    name: "result_before_the_run",
    what: "a tool's result is committed before the tool has run",
    caughtBy: ["approved_is_done"],
    tools: ["set", "charge", "launch"],
    answers: ["approve"],
    faults: (dice) => [kill("worker", "log.commit", 4 + dice.pick(3), "after")],
    change: ({ tools }) => ({
      tools: tools.map((tool) => ({
        ...tool,
        async run(args, context) {
          void sleep(150).then(() => tool.run(args, context).catch(() => {}));
          return { done: true };
        },
      })),
    }),
  },
  {
    name: "call_begins_unrecorded",
    what: "a tool runs while its step is decided, before anything is committed",
    caughtBy: ["called_once", "once_is_once"],
    tools: ["launch", "set"],
    faults: () => [kill("worker", "model.decide", 1, "after")],
    change({ model, tools }) {
      return {
        model: {
          ...model,
          async decide(request, options) {
            const answer = await model.decide(request, options);
            const step = (answer.output as { step?: { intent?: string; args?: { id: string } } }).step;
            const tool = tools.find(({ name }) => name === step?.intent);
            if (tool !== undefined && step?.args !== undefined) {
              const callId = ids.next();
              const { signal } = options;
              const context = {
                signal,
                callId,
                idempotencyKey: callId,
                attempt: 1,
                threadId: "",
                requester: "",
              };
              await tool.run(step.args, context).catch(() => {});
            }
            return answer;
          },
        },
      };
    },
  },
];
