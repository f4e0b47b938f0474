/**
 * What applies without a parley.yaml, so that the first start works with nothing set up: the bundled agents, and one
 * administrator (whoever signs in with the admin token) who may approve everything they propose.
 */
import type { FileInput } from "./schema.ts";

export const demoSettings: FileInput = {
  agents: { default: "deploybot", enabled: ["deploybot", "support"] },
  routes: [
    { match: { keyword: ["refund", "order", "invoice", "return"] }, agent: "support" },
    { match: { command: ["/support"] }, agent: "support" },
  ],
  people: [{ id: "admin", name: "Admin", roles: ["admin"], identities: ["web:admin"] }],
  policies: {
    "production-deploys": { roles: ["admin"] },
    refunds: { roles: ["admin"] },
  },
};
