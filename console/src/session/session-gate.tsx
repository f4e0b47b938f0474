/** Nothing of the console is shown without a session; a 401 anywhere brings the sign-in back. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { isRetryable, keys } from "../api/queries.ts";
import { Loading, Trouble } from "../app/states.tsx";
import { takeFragmentToken } from "./fragment-token.ts";
import { openSession, SessionContext } from "./session.ts";
import { SignIn } from "./sign-in.tsx";

export function SessionGate({ token, children }: { token: string | null; children: ReactNode }) {
  const query = useQuery({
    queryKey: keys.session,
    queryFn: () => openSession(token),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    retry: (failures, error) => failures < 3 && isRetryable(error),
  });
  useTokenInOpenPage();
  if (query.isPending) return <Loading label="Opening the console" />;
  if (query.isError) return <Trouble error={query.error} retry={() => query.refetch()} />;
  if (!query.data.signedIn) return <SignIn state={query.data} />;
  return <SessionContext value={query.data.session}>{children}</SessionContext>;
}

/** A sign-in link followed in a page that is open already changes the fragment only: nothing is loaded anew. */
function useTokenInOpenPage(): void {
  const client = useQueryClient();
  useEffect(() => {
    const onHashChange = () => {
      const token = takeFragmentToken();
      if (token === null) return;
      client
        .fetchQuery({ queryKey: keys.session, queryFn: () => openSession(token), staleTime: 0 })
        // The gate shows the query's own error.
        .catch(() => undefined);
    };
    window.addEventListener("hashchange", onHashChange);
    return () => window.removeEventListener("hashchange", onHashChange);
  }, [client]);
}
