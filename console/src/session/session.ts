/** The session: opening, ending, and who it is. What stands below the session gate can rely on one. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, use } from "react";
import type { SessionView } from "../../../gateway/api.ts";
import { ApiError, rememberCsrfToken } from "../api/client.ts";
import { api } from "../api/endpoints.ts";
import { keys, type SessionState } from "../api/queries.ts";

export const SessionContext = createContext<SessionView | null>(null);

export function useSession(): SessionView {
  const session = use(SessionContext);
  if (session === null) throw new Error("useSession is only for what the session gate shows");
  return session;
}

/** A refused token from the address does no harm to a session that is open already. */
export async function openSession(token: string | null): Promise<SessionState> {
  const refusal = token === null ? undefined : await tokenRefusal(token);
  const session = await currentSession();
  return session === null ? { signedIn: false, ...(refusal && { refusal }) } : { signedIn: true, session };
}

async function tokenRefusal(token: string): Promise<string | undefined> {
  try {
    await api.signIn(token);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && !error.retryable) return error.message;
    throw error;
  }
}

async function currentSession(): Promise<SessionView | null> {
  try {
    const session = await api.session();
    rememberCsrfToken(session.csrfToken);
    return session;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

/** After a sign-in: everything is read anew, by the new person's rights. */
export function useSignedIn(): () => Promise<void> {
  const client = useQueryClient();
  return async () => {
    client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" });
    const session = await currentSession();
    const state: SessionState =
      session === null ? { signedIn: false, refusal: noCookie } : { signedIn: true, session };
    client.setQueryData(keys.session, state);
  };
}

const noCookie = "The token is right, but the browser did not keep the session cookie.";

export function useSignOut(): () => Promise<void> {
  const client = useQueryClient();
  return async () => {
    await api.signOut();
    rememberCsrfToken("");
    const signedOut: SessionState = { signedIn: false };
    client.setQueryData(keys.session, signedOut);
    client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" });
  };
}
