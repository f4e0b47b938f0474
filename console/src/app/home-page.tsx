/** The first page: what to do next, and what this Parley is made of. */
import { Button } from "@mantine/core";
import { Link } from "wouter";
import type { StatusView } from "../../../gateway/api.ts";
import { useApprovals, useStatus } from "../api/queries.ts";
import { useSession } from "../session/session.ts";
import styles from "./home-page.module.css";
import { Icon } from "./icons.tsx";
import { ModelName } from "./model-name.tsx";
import { Page, Panel } from "./page.tsx";
import { Loading, Pill, Trouble } from "./states.tsx";
import { counted } from "./words.ts";

export function HomePage() {
  const status = useStatus();
  const { name } = useSession();
  return (
    <Page
      title={`Welcome, ${name}`}
      lead="Write to an agent, decide what it may do, and see what it did."
      actions={
        <Button component={Link} href="/threads/new" leftSection={<Icon name="plus" size={16} />}>
          New thread
        </Button>
      }
    >
      <Waiting />
      {status.isPending && <Loading label="Loading the status" />}
      {status.isError && <Trouble error={status.error} retry={() => status.refetch()} />}
      {status.data && <Overview status={status.data} />}
    </Page>
  );
}

function Waiting() {
  const { items } = useApprovals("pending");
  if (items.length === 0) return null;
  return (
    <Link href="/approvals" className={styles.waiting}>
      <Icon name="approvals" />
      {counted(items.length, "approval")} {items.length === 1 ? "waits" : "wait"} for a decision
    </Link>
  );
}

function Overview({ status }: { status: StatusView }) {
  return (
    <>
      <NextSteps steps={status.nextSteps} />
      <div className={styles.columns}>
        <Panel title="Agents">
          <dl className={styles.agents}>
            {status.agents.map((agent) => (
              <div key={agent.name}>
                <dt>{agent.name}</dt>
                <dd>{agent.description}</dd>
              </div>
            ))}
          </dl>
        </Panel>
        <Panel title="Channels">
          <ul className={styles.channels}>
            {status.channels.map((channel) => (
              <li key={channel.name}>
                {channel.name}
                <Pill tone={channel.on ? "good" : "neutral"}>{channel.on ? "on" : "off"}</Pill>
              </li>
            ))}
          </ul>
        </Panel>
      </div>
      <Panel title="This Parley">
        <dl className={styles.facts}>
          <dt>Model</dt>
          <dd>
            <ModelName {...status.model} />
          </dd>
          <dt>Database</dt>
          <dd>{status.database === "embedded" ? "Postgres, embedded" : "Postgres, external"}</dd>
          <dt>Queue</dt>
          <dd>{status.queue === "redis" ? "Redis" : "Postgres"}</dd>
          <dt>Version</dt>
          <dd>{status.version}</dd>
        </dl>
      </Panel>
    </>
  );
}

function NextSteps({ steps }: { steps: StatusView["nextSteps"] }) {
  if (steps.length === 0) return null;
  return (
    <Panel title="What to do next">
      <ol className={styles.steps}>
        {steps.map((step) => (
          <li key={step.title}>
            <strong>{step.title}</strong>
            <p>{step.text}</p>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
