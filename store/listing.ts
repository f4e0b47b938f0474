/**
 * What people look at: threads, pages of events, model calls, deliveries. Reads only, each one bounded statement with a
 * keyset page. Nothing here is a source of truth for the loop.
 */
import { z } from "zod";
import { parseEvent, type ThreadEvent } from "../core/events.ts";
import { jsonObjectSchema } from "../core/json.ts";
import { type ThreadStatus, threadStatuses } from "../core/thread.ts";
import { bindingSchema } from "../core/words.ts";
import { exactColumn, isoColumn, type Place, type Slice, sliceOf } from "./keyset.ts";
import type { Database, Row } from "./postgres.ts";

export const deliveryStatuses = ["pending", "sending", "sent", "uncertain", "failed"] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

const threadRow = z.object({
  id: z.string(),
  agent: z.string(),
  status: z.enum(threadStatuses),
  waitingFor: z.array(z.enum(["approval", "question", "timer", "tool_outcome"])),
  title: z.string(),
  home: bindingSchema.nullable(),
  seq: z.number(),
  spend: z.object({ tokens: z.number(), usd: z.number() }),
  createdAt: z.string(),
  updatedAt: z.string(),
  place: z.string(),
});
export type ListedThread = Omit<z.infer<typeof threadRow>, "place">;

const modelCallRow = z.object({
  id: z.string(),
  threadId: z.string(),
  model: z.string(),
  stage: z.enum(["primary", "backup", "compacted"]),
  promptVersion: z.string(),
  promptHash: z.string(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  costUsd: z.number().nullable(),
  latencyMs: z.number(),
  outcome: z.string(),
  correlationId: z.string(),
  at: z.string(),
  place: z.string(),
});
export type ListedModelCall = Omit<z.infer<typeof modelCallRow>, "place">;

const deliveryRow = z.object({
  id: z.string(),
  threadId: z.string(),
  kind: z.enum(["reply", "approval", "approval_update", "question", "notice"]),
  binding: bindingSchema,
  status: z.enum(deliveryStatuses),
  attempts: z.number(),
  nextAttemptAt: z.string().nullable(),
  error: z.string().nullable(),
  receipt: z.string().nullable(),
  content: jsonObjectSchema,
  createdAt: z.string(),
  updatedAt: z.string(),
  place: z.string(),
});
export type ListedDelivery = Omit<z.infer<typeof deliveryRow>, "place">;

interface PageOf {
  after: Place | null;
  limit: number;
}

export interface Listing {
  /** The last changed first. */
  threads(
    query: PageOf & { status: ThreadStatus | null; agent: string | null },
  ): Promise<Slice<ListedThread>>;
  thread(threadId: string): Promise<ListedThread | null>;
  /** Oldest first, behind `after`. `end` is the log's last position at that time; null when there is no such thread. */
  events(query: { threadId: string; after: number; limit: number }): Promise<{
    events: ThreadEvent[];
    end: number;
  } | null>;
  /** Where each of these logs ends now. One statement, however many threads. */
  versions(threadIds: readonly string[]): Promise<Map<string, number>>;
  /** Oldest first. */
  modelCalls(query: PageOf & { threadId: string }): Promise<Slice<ListedModelCall>>;
  /** Newest first. */
  deliveries(
    query: PageOf & { status: DeliveryStatus | null; threadId: string | null },
  ): Promise<Slice<ListedDelivery>>;
  delivery(deliveryId: string): Promise<ListedDelivery | null>;
}

const threadColumns = `t.id, t.agent, t.status, t.waiting_for as "waitingFor", t.title, t.version as seq,
  jsonb_build_object('tokens', t.spend_tokens, 'usd', t.spend_usd) as spend,
  (select jsonb_build_object('channel', b.channel, 'account', b.account, 'room', b.room, 'anchor', b.anchor)
     from bindings b where b.thread_id = t.id and b.home limit 1) as home,
  ${isoColumn("t.created_at")} as "createdAt", ${isoColumn("t.updated_at")} as "updatedAt",
  ${exactColumn("t.updated_at")} as place`;

const modelCallColumns = `id, thread_id as "threadId", model, stage, prompt_version as "promptVersion",
  prompt_hash as "promptHash", input_tokens as "inputTokens", output_tokens as "outputTokens", cost_usd as "costUsd",
  latency_ms as "latencyMs", outcome, correlation_id as "correlationId", ${isoColumn("model_calls.at")} as at,
  ${exactColumn("model_calls.at")} as place`;

const deliveryColumns = `id, thread_id as "threadId", kind, status, attempts, error, receipt, content,
  jsonb_build_object('channel', channel, 'account', account, 'room', room, 'anchor', anchor) as binding,
  case when status = 'pending' then ${isoColumn("next_attempt_at")} end as "nextAttemptAt",
  ${isoColumn("created_at")} as "createdAt", ${isoColumn("updated_at")} as "updatedAt",
  ${exactColumn("created_at")} as place`;

export function listing(database: Database): Listing {
  return {
    async threads({ status, agent, after, limit }) {
      const rows = await database.run({
        name: "list_threads",
        text: `select ${threadColumns} from threads t
                where ($1::text is null or t.status = $1) and ($2::text is null or t.agent = $2)
                  and ($3::timestamptz is null or (t.updated_at, t.id) < ($3, $4::uuid))
                order by t.updated_at desc, t.id desc limit $5`,
        values: [status, agent, after?.at ?? null, after?.id ?? null, limit + 1],
      });
      return sliceBy(threadRow, rows, limit);
    },

    async thread(threadId) {
      const rows = await database.run({
        name: "list_thread",
        text: `select ${threadColumns} from threads t where t.id = $1`,
        values: [threadId],
      });
      return first(threadRow, rows);
    },

    events: (query) => eventsPage(database, query),

    async versions(threadIds) {
      const rows = await database.run({
        name: "list_versions",
        text: "select id, version from threads where id = any ($1::uuid[])",
        values: [threadIds],
      });
      return new Map(rows.map((row) => [z.string().parse(row.id), z.number().parse(row.version)]));
    },

    async modelCalls({ threadId, after, limit }) {
      const rows = await database.run({
        name: "list_model_calls",
        text: `select ${modelCallColumns} from model_calls
                where thread_id = $1 and ($2::timestamptz is null or (model_calls.at, id) > ($2, $3::uuid))
                order by model_calls.at, id limit $4`,
        values: [threadId, after?.at ?? null, after?.id ?? null, limit + 1],
      });
      return sliceBy(modelCallRow, rows, limit);
    },

    async deliveries({ status, threadId, after, limit }) {
      const rows = await database.run({
        name: "list_deliveries",
        text: `select ${deliveryColumns} from outbox
                where ($1::text is null or status = $1) and ($2::uuid is null or thread_id = $2)
                  and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
                order by created_at desc, id desc limit $5`,
        values: [status, threadId, after?.at ?? null, after?.id ?? null, limit + 1],
      });
      return sliceBy(deliveryRow, rows, limit);
    },

    async delivery(deliveryId) {
      const rows = await database.run({
        name: "list_delivery",
        text: `select ${deliveryColumns} from outbox where id = $1`,
        values: [deliveryId],
      });
      return first(deliveryRow, rows);
    },
  };
}

async function eventsPage(
  database: Database,
  { threadId, after, limit }: { threadId: string; after: number; limit: number },
): Promise<{ events: ThreadEvent[]; end: number } | null> {
  const rows = await database.run({
    name: "list_events",
    text: `select t.version as end, coalesce(
             (select jsonb_agg(e.event order by e.seq) from (
                select seq, jsonb_build_object('seq', seq, 'type', type, 'v', v, 'data', data, 'actor', actor,
                                               'at', ${isoColumn("events.at")}) as event
                  from events where thread_id = t.id and seq > $2 order by seq limit $3) e), '[]') as events
             from threads t where t.id = $1`,
    values: [threadId, after, limit],
  });
  if (rows[0] === undefined) return null;
  const page = z.object({ end: z.number(), events: z.array(z.unknown()) }).parse(rows[0]);
  return { end: page.end, events: page.events.map((event) => parseEvent(event)) };
}

type Placed = { id: string; place: string };

function sliceBy<R extends Placed>(
  schema: z.ZodType<R>,
  rows: Row[],
  limit: number,
): Slice<Omit<R, "place">> {
  const parsed = rows.map((row) => schema.parse(row));
  return sliceOf(parsed, limit, {
    item: withoutPlace,
    place: ({ place, id }) => ({ at: place, id }),
  });
}

function first<R extends Placed>(schema: z.ZodType<R>, rows: Row[]): Omit<R, "place"> | null {
  return rows[0] === undefined ? null : withoutPlace(schema.parse(rows[0]));
}

function withoutPlace<R extends Placed>({ place: _, ...item }: R): Omit<R, "place"> {
  return item;
}
