/** The sign-in screen. The token is a password to browsers, so that they may keep it and never show it. */
import { Button, Code, PasswordInput, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../api/endpoints.ts";
import type { SessionState } from "../api/queries.ts";
import { Brand } from "../app/brand.tsx";
import { Note } from "../app/states.tsx";
import { useSignedIn } from "./session.ts";
import styles from "./sign-in.module.css";

type SignedOut = Extract<SessionState, { signedIn: false }>;

export function SignIn({ state }: { state: SignedOut }) {
  const [token, setToken] = useState("");
  const signedIn = useSignedIn();
  const signIn = useMutation({
    mutationFn: async (value: string) => {
      await api.signIn(value);
      await signedIn();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim() !== "" && !signIn.isPending) signIn.mutate(token.trim());
  };
  const refusal = signIn.error?.message ?? state.refusal;

  return (
    <main className={styles.screen}>
      <form className={styles.card} onSubmit={submit}>
        <Brand />
        <div>
          <Title order={1} size="h3">
            Sign in to the console
          </Title>
          <Text c="dimmed" size="sm" mt={6}>
            Parley printed a link with a token when it started, as <Code>#token=…</Code> at its end. Open that
            link, or paste the token here.
          </Text>
        </div>
        {state.ended && refusal === undefined && (
          <Note tone="warn">Your session has ended. Sign in to go on.</Note>
        )}
        <PasswordInput
          label="Token"
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          autoComplete="current-password"
          error={refusal}
          data-autofocus
          autoFocus
          required
        />
        <Button type="submit" loading={signIn.isPending} fullWidth>
          Sign in
        </Button>
      </form>
    </main>
  );
}
