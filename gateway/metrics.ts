/** What an operator can watch: Prometheus metrics, each named in docs/EVENTS.md. Counters are of this process alone. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { LoopFact } from "../agents/runtime/parts.ts";
import type { QueueDepth } from "../queue/queue.ts";

export type Metrics = ReturnType<typeof openMetrics>;

interface HttpRequest {
  method: string;
  route: string;
  status: number;
  durationMs: number;
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** @param depth asked at each scrape; a queue that does not answer leaves its gauges as they were. */
export function openMetrics(depth: () => Promise<QueueDepth>) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "parley_" });
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `parley_${name}_total`, help, labelNames, registers });

  const accepted = counter("messages_accepted", "Messages stored.", ["channel"]);
  const deduped = counter("messages_deduped", "Redelivered messages that were stored already.", ["channel"]);
  const refused = counter("messages_refused", "Senders that the access gate refused.", ["channel"]);
  const runs = counter("runs", "Runs that ended.", ["agent", "outcome"]);
  const steps = counter("steps", "Steps decided.", ["agent", "decision"]);
  const tools = counter("tool_calls", "Tool calls that came to an outcome.", ["agent", "tool", "outcome"]);
  const deliveries = counter("deliveries", "Attempts to deliver.", ["channel", "outcome"]);
  const verdicts = counter("approval_verdicts", "Verdicts on approvals.", ["verdict", "outcome"]);
  const tokens = counter("model_tokens", "Tokens of model calls.", ["agent", "model", "direction"]);
  const cost = counter("model_cost_usd", "Cost of model calls whose price is known, in USD.", [
    "agent",
    "model",
  ]);
  const modelCalls = counter("model_calls", "Model calls.", ["agent", "model", "outcome"]);
  const stepSeconds = new Histogram({
    name: "parley_step_seconds",
    help: "From asking the model to the committed step.",
    labelNames: ["agent"],
    buckets: secondsBuckets,
    registers,
  });
  const modelSeconds = new Histogram({
    name: "parley_model_call_seconds",
    help: "Latency of model calls.",
    labelNames: ["agent", "model"],
    buckets: secondsBuckets,
    registers,
  });
  const httpSeconds = new Histogram({
    name: "parley_http_request_seconds",
    help: "HTTP requests.",
    labelNames: ["method", "route", "status"],
    buckets: secondsBuckets,
    registers,
  });
  const openStreams = new Gauge({ name: "parley_event_streams", help: "Open event streams.", registers });
  const queueAge = new Gauge({
    name: "parley_queue_oldest_seconds",
    help: "Age of the oldest ring that nobody has heard.",
    registers,
  });
  const queueWaiting = new Gauge({ name: "parley_queue_waiting", help: "Rings that wait.", registers });

  return {
    contentType: registry.contentType,
    async text(): Promise<string> {
      await depth().then(
        ({ oldestMs, waiting }) => {
          queueAge.set(oldestMs / 1_000);
          queueWaiting.set(waiting);
        },
        () => undefined,
      );
      return registry.metrics();
    },
    accepted: (channel: string) => accepted.inc({ channel }),
    deduped: (channel: string) => deduped.inc({ channel }),
    refused: (channel: string) => refused.inc({ channel }),
    delivery: ({ channel, outcome }: { channel: string; outcome: string }) =>
      deliveries.inc({ channel, outcome }),
    http: {
      request: ({ method, route, status, durationMs }: HttpRequest) =>
        httpSeconds.observe({ method, route, status: String(status) }, durationMs / 1_000),
      decision: (verdict: string, outcome: string) => verdicts.inc({ verdict, outcome }),
      streams: (open: number) => openStreams.set(open),
    },
    loop(fact: LoopFact): void {
      switch (fact.kind) {
        case "step":
          steps.inc({ agent: fact.agent, decision: fact.decision });
          stepSeconds.observe({ agent: fact.agent }, fact.durationMs / 1_000);
          return;
        case "model_call": {
          const { agent, model, outcome, inputTokens, outputTokens, costUsd, latencyMs } = fact.call;
          modelCalls.inc({ agent, model, outcome });
          tokens.inc({ agent, model, direction: "input" }, inputTokens);
          tokens.inc({ agent, model, direction: "output" }, outputTokens);
          if (costUsd !== null) cost.inc({ agent, model }, costUsd);
          modelSeconds.observe({ agent, model }, latencyMs / 1_000);
          return;
        }
        case "tool":
          tools.inc({ agent: fact.agent, tool: fact.tool, outcome: fact.outcome });
          return;
        case "run_ended":
          runs.inc({ agent: fact.agent, outcome: fact.outcome });
          return;
      }
    },
  };
}
