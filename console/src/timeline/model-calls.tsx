/** Each question to a model, also those that came to nothing: what it cost and by which prompt. */
import type { ModelCallView } from "../../../gateway/api.ts";
import { useModelCalls } from "../api/queries.ts";
import { RecordedModel } from "../app/model-name.tsx";
import { PagedList } from "../app/more.tsx";
import { Empty } from "../app/states.tsx";
import { When } from "../app/when.tsx";
import { costText, countText, latencyText } from "../app/words.ts";
import styles from "./timeline.module.css";

export function ModelCalls({ threadId }: { threadId: string }) {
  const { query, items } = useModelCalls(threadId);
  return (
    <PagedList
      query={query}
      what="model calls"
      count={items.length}
      empty={<Empty icon="tool" title="No model was asked yet" />}
    >
      <table className={styles.calls}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Model</th>
            <th scope="col">Prompt</th>
            <th scope="col">Tokens</th>
            <th scope="col">Cost</th>
            <th scope="col">Latency</th>
            <th scope="col">Outcome</th>
          </tr>
        </thead>
        <tbody>
          {items.map((call) => (
            <CallRow key={call.id} call={call} />
          ))}
        </tbody>
      </table>
    </PagedList>
  );
}

function CallRow({ call }: { call: ModelCallView }) {
  return (
    <tr>
      <td data-label="Time">
        <When at={call.at} />
      </td>
      <td data-label="Model">
        <RecordedModel name={call.model} />
        <span className={styles.small}>{call.stage}</span>
      </td>
      <td data-label="Prompt">
        {call.promptVersion}
        <code className={styles.small} title={call.promptHash}>
          {call.promptHash.slice(0, 12)}
        </code>
      </td>
      <td data-label="Tokens">
        {countText(call.inputTokens)} → {countText(call.outputTokens)}
      </td>
      <td data-label="Cost">{costText(call.costUsd)}</td>
      <td data-label="Latency">{latencyText(call.latencyMs)}</td>
      <td data-label="Outcome">
        {call.outcome}
        <code className={styles.small} title={`Correlation ${call.correlationId}`}>
          {call.correlationId.slice(0, 13)}
        </code>
      </td>
    </tr>
  );
}
