/** Every call the console makes, with the types of the answers. Paths are those of the API's OpenAPI description. */
import type {
  ApprovalView,
  DecisionBody,
  DeliveryView,
  EventView,
  ModelCallView,
  Page,
  SessionView,
  StatusView,
  ThreadView,
} from "../../../gateway/api.ts";
import { request } from "./client.ts";

type Query = Record<string, string | number | null | undefined>;

function withQuery(path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

const post = <T>(path: string, body: unknown = {}): Promise<T> => request<T>(path, { method: "POST", body });
const id = encodeURIComponent;

export const api = {
  session: () => request<SessionView>("/v1/session"),
  signIn: (token: string) => post<void>("/v1/session", { token }),
  signOut: () => request<void>("/v1/session", { method: "DELETE" }),
  status: () => request<StatusView>("/v1/status"),

  threads: (query: { cursor: string | null; status: string }) =>
    request<Page<ThreadView>>(withQuery("/v1/threads", { ...query, limit: 30 })),
  thread: (threadId: string) => request<ThreadView>(`/v1/threads/${id(threadId)}`),
  /** Safe to repeat with the same key: the second answer names the first thread. */
  startThread: (body: { agent?: string; input: string; idempotencyKey: string }) =>
    post<ThreadView>("/v1/threads", body),
  /** Safe to repeat with the same key. */
  sendMessage: (threadId: string, body: { text: string; idempotencyKey: string }) =>
    post<unknown>(`/v1/threads/${id(threadId)}/messages`, body),
  changeThread: (threadId: string, change: ThreadChange, reason?: string) =>
    post<ThreadView>(`/v1/threads/${id(threadId)}/${change}`, reason ? { reason } : {}),
  forkThread: (threadId: string, atSeq: number) =>
    post<ThreadView>(`/v1/threads/${id(threadId)}/fork`, { atSeq }),
  events: (threadId: string, after: number, signal: AbortSignal) =>
    request<Page<EventView>>(withQuery(eventsPath(threadId), { after, limit: 500 }), { signal }),
  modelCalls: (threadId: string, cursor: string | null) =>
    request<Page<ModelCallView>>(
      withQuery(`/v1/threads/${id(threadId)}/model-calls`, { cursor, limit: 100 }),
    ),

  approvals: (query: { status: string; cursor: string | null }) =>
    request<Page<ApprovalView>>(withQuery("/v1/approvals", { ...query, limit: 50 })),
  approval: (approvalId: string) => request<ApprovalView>(`/v1/approvals/${id(approvalId)}`),
  decide: (approvalId: string, body: DecisionBody) =>
    post<ApprovalView>(`/v1/approvals/${id(approvalId)}/decision`, body),

  deliveries: (query: { status: string; cursor: string | null }) =>
    request<Page<DeliveryView>>(withQuery("/v1/deliveries", { ...query, limit: 50 })),
  retryDelivery: (deliveryId: string) => post<DeliveryView>(`/v1/deliveries/${id(deliveryId)}/retry`),
  settleDelivery: (deliveryId: string, body: { outcome: "sent" | "failed"; note: string }) =>
    post<DeliveryView>(`/v1/deliveries/${id(deliveryId)}/settle`, body),
};

export type ThreadChange = "pause" | "resume" | "cancel";

export const eventsPath = (threadId: string): string => `/v1/threads/${id(threadId)}/events`;
