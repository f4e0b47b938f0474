/** What a token may do. `admin` implies all; `signed_in` is whoever has a valid token or session. */
export const scopes = [
  "threads:read",
  "threads:write",
  "approvals:read",
  "approvals:decide",
  "deliveries:read",
  "deliveries:write",
  "metrics",
  "admin",
] as const;
export type Scope = (typeof scopes)[number];
export type Access = Scope | "signed_in" | "public";

export const hasScope = (granted: readonly string[], scope: Scope): boolean =>
  granted.includes(scope) || granted.includes("admin");
