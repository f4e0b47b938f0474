/** Headers that every answer carries. The console's page gets a policy with a nonce of its own. */
const base = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
};

/** @param nonce for the styles of one page; without it no style element is allowed. */
export const contentPolicy = (nonce?: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    nonce === undefined ? "style-src 'self'" : `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");

/** Added where the answer does not say otherwise itself. RFC 6797: HSTS has no meaning without https. */
export function secure(response: Response, requestId: string, https: boolean): Response {
  const headers = new Headers(response.headers);
  const wanted = {
    ...base,
    "content-security-policy": contentPolicy(),
    "x-request-id": requestId,
    ...(https ? { "strict-transport-security": "max-age=31536000" } : {}),
  };
  for (const [name, value] of Object.entries(wanted)) if (!headers.has(name)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}
