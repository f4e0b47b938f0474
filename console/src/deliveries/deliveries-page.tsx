/** What was promised to people and where it stands. `uncertain` and `failed` wait for somebody here. */
import { NativeSelect } from "@mantine/core";
import { useState } from "react";
import { useDeliveries } from "../api/queries.ts";
import { PagedList } from "../app/more.tsx";
import { Page, Panel } from "../app/page.tsx";
import { Empty } from "../app/states.tsx";
import styles from "./deliveries.module.css";
import { DeliveryRow } from "./delivery-row.tsx";

const statuses = ["pending", "sending", "sent", "uncertain", "failed"];

export function DeliveriesPage() {
  const [status, setStatus] = useState("");
  const { query, items } = useDeliveries(status);
  return (
    <Page
      title="Deliveries"
      lead="Every message Parley promised to place, and what became of it."
      actions={
        <NativeSelect
          aria-label="Status"
          value={status}
          onChange={(event) => setStatus(event.currentTarget.value)}
          data={[{ value: "", label: "All statuses" }, ...statuses]}
        />
      }
    >
      <Panel>
        <PagedList
          query={query}
          what="deliveries"
          count={items.length}
          empty={
            <Empty icon="deliveries" title={status === "" ? "Nothing sent yet" : `Nothing is ${status}`}>
              Replies, approvals and questions on their way to a channel appear here.
            </Empty>
          }
        >
          <ul className={styles.list}>
            {items.map((delivery) => (
              <DeliveryRow key={delivery.id} delivery={delivery} />
            ))}
          </ul>
        </PagedList>
      </Panel>
    </Page>
  );
}
