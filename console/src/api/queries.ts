/** What the console reads, as cached queries. Lists refresh on their own; an open thread tells them when it changed. */
import { MutationCache, QueryCache, QueryClient, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { Page, SessionView } from "../../../gateway/api.ts";
import { ApiError } from "./client.ts";
import { api } from "./endpoints.ts";

const refreshMs = 10_000;

export const keys = {
  session: ["session"],
  status: ["status"],
  threads: ["threads"],
  thread: (id: string) => ["thread", id],
  modelCalls: (id: string) => ["model-calls", id],
  approvals: ["approvals"],
  approval: (id: string) => ["approval", id],
  deliveries: ["deliveries"],
} as const;

/** A session that ended anywhere ends everywhere: the sign-in screen takes over. */
export function createQueryClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError: (error) => endSessionOn401(client, error) }),
    mutationCache: new MutationCache({ onError: (error) => endSessionOn401(client, error) }),
    defaultOptions: {
      queries: { retry: (failures, error) => failures < 2 && isRetryable(error), staleTime: 2_000 },
      mutations: { retry: false },
    },
  });
  return client;
}

export function endSessionOn401(client: QueryClient, error: unknown): void {
  if (!(error instanceof ApiError) || error.status !== 401) return;
  const session: SessionState | undefined = client.getQueryData(keys.session);
  const ended: SessionState = { signedIn: false, ended: true };
  if (session?.signedIn) client.setQueryData(keys.session, ended);
}

export const isRetryable = (error: unknown): boolean => error instanceof ApiError && error.retryable;

export type SessionState =
  | { signedIn: true; session: SessionView }
  /** `ended`: there was a session. `refusal`: why the token in the address did not open one. */
  | { signedIn: false; ended?: boolean; refusal?: string };

export const useStatus = () =>
  useQuery({ queryKey: keys.status, queryFn: api.status, refetchInterval: 30_000 });

export const useThread = (id: string) =>
  useQuery({ queryKey: keys.thread(id), queryFn: () => api.thread(id), refetchInterval: refreshMs });

export const useThreads = (status: string) =>
  usePages([...keys.threads, status], (cursor) => api.threads({ cursor, status }));

export const useModelCalls = (id: string) =>
  usePages(keys.modelCalls(id), (cursor) => api.modelCalls(id, cursor));

export const useApprovals = (status: string) =>
  usePages([...keys.approvals, status], (cursor) => api.approvals({ status, cursor }));

export const useApproval = (id: string) =>
  useQuery({ queryKey: keys.approval(id), queryFn: () => api.approval(id), refetchInterval: refreshMs });

export const useDeliveries = (status: string) =>
  usePages([...keys.deliveries, status], (cursor) => api.deliveries({ status, cursor }));

function usePages<T>(queryKey: readonly unknown[], load: (cursor: string | null) => Promise<Page<T>>) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => load(pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    refetchInterval: refreshMs,
  });
  return { query, items: query.data?.pages.flatMap((page) => page.items) ?? [] };
}
