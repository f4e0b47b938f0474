/** What can be done with a thread as a whole. Ending or stopping one asks for a reason first. */
import { ActionIcon, Button, Group, Menu, Modal, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useLocation } from "wouter";
import type { ThreadView } from "../../../gateway/api.ts";
import { api } from "../api/endpoints.ts";
import { keys } from "../api/queries.ts";
import { Icon } from "../app/icons.tsx";
import { Trouble } from "../app/states.tsx";

type Change = "pause" | "cancel";

export function ThreadActions({ thread, lastSeq }: { thread: ThreadView; lastSeq: number }) {
  const [asked, setAsked] = useState<Change | null>(null);
  const close = () => setAsked(null);
  const client = useQueryClient();
  const resume = useMutation({
    mutationFn: () => api.changeThread(thread.id, "resume"),
    onSettled: () => client.invalidateQueries({ queryKey: keys.thread(thread.id) }),
  });
  const fork = useFork(thread.id);
  const isHalted = thread.status === "paused" || thread.status === "cancelled";
  const error = resume.error ?? fork.error;
  const forget = () => {
    resume.reset();
    fork.reset();
  };
  return (
    <>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Actions on this thread">
            <Icon name="more" />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item component={Link} href={`/threads/${thread.id}/timeline`}>
            Timeline
          </Menu.Item>
          {thread.status === "paused" && <Menu.Item onClick={() => resume.mutate()}>Resume</Menu.Item>}
          {!isHalted && <Menu.Item onClick={() => setAsked("pause")}>Pause…</Menu.Item>}
          <Menu.Item disabled={lastSeq === 0} onClick={() => fork.mutate(lastSeq)}>
            Fork from here
          </Menu.Item>
          {thread.status !== "cancelled" && (
            <Menu.Item color="red" onClick={() => setAsked("cancel")}>
              Cancel…
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={asked !== null}
        onClose={close}
        title={asked === "cancel" ? "Cancel this thread" : "Pause this thread"}
      >
        {asked !== null && <ReasonDialog threadId={thread.id} change={asked} close={close} />}
      </Modal>
      <Modal opened={error !== null} onClose={forget} title="That did not work">
        <Trouble error={error} />
      </Modal>
    </>
  );
}

/** A new thread with the log's first events; the reader is taken to it. */
export function useFork(threadId: string) {
  const [, navigate] = useLocation();
  const client = useQueryClient();
  return useMutation({
    mutationFn: (atSeq: number) => api.forkThread(threadId, atSeq),
    onSuccess: async (fork) => {
      await client.invalidateQueries({ queryKey: keys.threads });
      navigate(`/threads/${fork.id}`);
    },
  });
}

const explained: Record<Change, string> = {
  pause: "The agent does nothing more here until somebody resumes it. Messages are kept.",
  cancel: "The agent stops for good, and open approvals are withdrawn.",
};

function ReasonDialog({ threadId, change, close }: { threadId: string; change: Change; close: () => void }) {
  const [reason, setReason] = useState("");
  const client = useQueryClient();
  const mutation = useMutation({
    mutationFn: () => api.changeThread(threadId, change, reason.trim()),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: keys.thread(threadId) }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!mutation.isPending) mutation.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm">{explained[change]}</Text>
        <Textarea
          label="Reason (kept in the log)"
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={1000}
          autosize
          minRows={2}
          data-autofocus
        />
        {mutation.isError && <Trouble error={mutation.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Back
          </Button>
          <Button type="submit" color={change === "cancel" ? "red.9" : "pine"} loading={mutation.isPending}>
            {change === "cancel" ? "Cancel the thread" : "Pause the thread"}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
