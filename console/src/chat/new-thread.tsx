/** The first message of a thread. Its idempotency key is kept until the thread exists: sending again starts no second one. */
import { NativeSelect, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { api } from "../api/endpoints.ts";
import { keys, useStatus } from "../api/queries.ts";
import { CurrentModel } from "../app/model-name.tsx";
import { Loading, Trouble } from "../app/states.tsx";
import { Composer } from "./composer.tsx";
import styles from "./threads-page.module.css";
import { withRetries } from "./use-sending.ts";

interface FirstMessage {
  agent?: string;
  input: string;
  idempotencyKey: string;
}

export function NewThread() {
  const status = useStatus();
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const [chosen, setChosen] = useState("");
  const start = useMutation({
    mutationFn: (message: FirstMessage) => withRetries(() => api.startThread(message)),
    onSuccess: (thread) => {
      client.setQueryData(keys.thread(thread.id), thread);
      void client.invalidateQueries({ queryKey: keys.threads });
      navigate(`/threads/${thread.id}`);
    },
  });
  const send = (input: string) =>
    start.mutate({ input, idempotencyKey: crypto.randomUUID(), ...(chosen !== "" && { agent: chosen }) });
  const agents = status.data?.agents ?? [];
  const agent = agents.find(({ name }) => name === chosen);
  const unsent = start.variables;

  return (
    <div className={styles.fresh}>
      <div className={styles.freshWords}>
        <Title order={1}>New thread</Title>
        <CurrentModel />
      </div>
      <NativeSelect
        label="Agent"
        description={agent?.description ?? "The routing rules pick the agent."}
        value={chosen}
        onChange={(event) => setChosen(event.currentTarget.value)}
        data={[{ value: "", label: "By the rules" }, ...agents.map(({ name }) => name)]}
      />
      {status.isError && <Trouble error={status.error} retry={() => status.refetch()} />}
      <Composer label="Write the first message" onSend={send} isBusy={start.isPending} autoFocus />
      {start.isPending && <Loading label="Starting the thread" />}
      {start.isError && unsent && (
        <>
          <p className={styles.unsent}>{unsent.input}</p>
          <Trouble error={start.error} retry={() => start.mutate(unsent)} />
        </>
      )}
    </div>
  );
}
