/**
 * Sending one decision. However often a button is pressed, one request is under way; and the gateway lets only the first
 * decision count, so a repeat after a lost answer is told "already decided" and the card shows by whom.
 */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import type { ApprovalView, DecisionBody } from "../../../gateway/api.ts";
import { api } from "../api/endpoints.ts";
import { keys } from "../api/queries.ts";
import { useAnnounce } from "../app/announce.tsx";
import { statusWords } from "./status.ts";

export function useDecision(approvalId: string, onDecided: () => void) {
  const client = useQueryClient();
  const announce = useAnnounce();
  const underWay = useRef(false);
  const mutation = useMutation({
    mutationFn: (body: DecisionBody) => api.decide(approvalId, body),
    onSuccess: (approval: ApprovalView) => {
      client.setQueryData(keys.approval(approvalId), approval);
      onDecided();
      announce(`${approval.tool}: ${statusWords[approval.status].name}`);
    },
    onSettled: async () => {
      underWay.current = false;
      await Promise.all([
        client.invalidateQueries({ queryKey: keys.approval(approvalId) }),
        client.invalidateQueries({ queryKey: keys.approvals }),
      ]);
    },
  });
  const decide = (body: DecisionBody) => {
    if (underWay.current) return;
    underWay.current = true;
    mutation.mutate(body);
  };
  return {
    decide,
    isSending: mutation.isPending,
    error: mutation.error,
    verdict: mutation.variables?.verdict,
  };
}
