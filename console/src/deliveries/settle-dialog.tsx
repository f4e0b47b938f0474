/** A person says what became of a delivery that nothing else can tell about. The note is kept with it. */
import { Button, Group, Modal, Radio, Stack, Textarea } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { DeliveryView } from "../../../gateway/api.ts";
import { api } from "../api/endpoints.ts";
import { keys } from "../api/queries.ts";
import { Trouble } from "../app/states.tsx";

export function SettleDialog(props: { delivery: DeliveryView; opened: boolean; close: () => void }) {
  return (
    <Modal opened={props.opened} onClose={props.close} title="What became of this delivery?">
      <SettleForm delivery={props.delivery} close={props.close} />
    </Modal>
  );
}

function SettleForm({ delivery, close }: { delivery: DeliveryView; close: () => void }) {
  const client = useQueryClient();
  const [outcome, setOutcome] = useState<"sent" | "failed">("sent");
  const [note, setNote] = useState("");
  const settle = useMutation({
    mutationFn: () => api.settleDelivery(delivery.id, { outcome, note: note.trim() }),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: keys.deliveries }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!settle.isPending) settle.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Radio.Group
          label="Outcome"
          value={outcome}
          onChange={(value) => setOutcome(value === "failed" ? "failed" : "sent")}
        >
          <Stack gap={6} mt={6}>
            <Radio value="sent" label="It arrived" data-autofocus />
            <Radio value="failed" label="It did not arrive, and will not be sent again" />
          </Stack>
        </Radio.Group>
        <Textarea
          label="How do you know?"
          value={note}
          onChange={(event) => setNote(event.currentTarget.value)}
          maxLength={1000}
          autosize
          minRows={2}
          required
        />
        {settle.isError && <Trouble error={settle.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Back
          </Button>
          <Button type="submit" loading={settle.isPending}>
            Settle
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
