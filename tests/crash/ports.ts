/** The ports of one process of the harness: what planted bugs replace, and what the probe wraps. */
import type { Tool } from "../../agents/agent.ts";
import type { Channel } from "../../channels/channel.ts";
import type { Doorbell, Model, ThreadLog } from "../../core/ports.ts";
import type { Approvals } from "../../store/approvals.ts";
import type { Outbox } from "../../store/outbox.ts";
import type { Sweep } from "../../store/sweep.ts";

export interface Ports {
  log: ThreadLog;
  outbox: Outbox;
  approvals: Approvals;
  sweep: Sweep;
  doorbell: Doorbell;
  model: Model;
  tools: readonly Tool[];
  channels: readonly Channel[];
}
