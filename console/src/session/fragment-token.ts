/**
 * A sign-in link carries its token in the fragment, which browsers do not send to servers. It leaves the address bar and
 * the history entry before anything else happens.
 */
export function takeFragmentToken(): string | null {
  const match = /^#token=(.+)$/.exec(window.location.hash);
  if (match?.[1] === undefined) return null;
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1];
  }
}
