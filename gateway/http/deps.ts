/** What the HTTP server needs of the rest of the program. It is handed in, so that this folder knows no configuration. */
import type { Accept, Channel } from "../../channels/channel.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Clock, Doorbell, Ids, Live, Log, ThreadLog } from "../../core/ports.ts";
import type { Approval, Approvals } from "../../store/approvals.ts";
import type { Listing } from "../../store/listing.ts";
import type { Outbox } from "../../store/outbox.ts";
import type { Database } from "../../store/postgres.ts";
import type { Tokens } from "../../store/tokens.ts";
import type { PromptView, StatusView } from "../api.ts";
import type { Gate, Ingest } from "../ingest.ts";

export interface HttpDeps {
  readonly log: ThreadLog;
  readonly database: Database;
  readonly approvals: Approvals;
  readonly outbox: Outbox;
  readonly tokens: Tokens;
  readonly listing: Listing;
  readonly ingest: Ingest;
  readonly doorbell: Doorbell;
  readonly live: Live;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly agents: {
    names(): { name: string; description: string }[];
    /** @throws {RefusedError} when the tool does not take these arguments. Gives them parsed. */
    checkEdit(approval: Approval, args: JsonObject): JsonObject;
  };
  /** The person of the admin token, `admin`, has the role `admin`. */
  readonly people: { rolesOf(person: string): string[]; nameOf(person: string): string };
  status(): StatusView | Promise<StatusView>;
  /** The exact messages of a step; null when there is no such step. */
  promptFor(threadId: string, stepId: string): Promise<PromptView | null>;
  readonly metrics: { readonly contentType: string; text(): Promise<string>; readonly hooks: HttpHooks };
  readonly limits: {
    readonly bodyBytes: number;
    readonly messageCharacters: number;
    readonly streams?: number;
  };
  /** How the outside reaches us, without a slash at the end; null when only this machine does. */
  readonly publicUrl: string | null;
  /** The built console. It may appear later: its absence is answered, not thrown. */
  readonly consoleFolder: string;
  readonly logger: Log;
  /** Channels with a webhook, mounted at their paths. */
  readonly webhooks: readonly { channel: Channel; accept: Accept }[];
}

export interface HttpHooks {
  request(request: { method: string; route: string; status: number; durationMs: number }): void;
  /** A verdict and what became of it: decided, counted, already, forbidden. */
  decision(verdict: string, outcome: string): void;
  /** Open event streams. */
  streams(open: number): void;
}
