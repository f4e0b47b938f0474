/** Which page is shown at which address. The gateway answers each of these addresses with index.html. */
import { Anchor } from "@mantine/core";
import { Link, Route, Switch } from "wouter";
import { ApprovalPage } from "../approvals/approval-page.tsx";
import { ApprovalsPage } from "../approvals/approvals-page.tsx";
import { ThreadsPage } from "../chat/threads-page.tsx";
import { DeliveriesPage } from "../deliveries/deliveries-page.tsx";
import { SessionGate } from "../session/session-gate.tsx";
import { TimelinePage } from "../timeline/timeline-page.tsx";
import { Announcer } from "./announce.tsx";
import { Frame } from "./frame.tsx";
import { HomePage } from "./home-page.tsx";
import { Page } from "./page.tsx";

export function App({ token }: { token: string | null }) {
  return (
    <Announcer>
      <SessionGate token={token}>
        <Frame>
          <Pages />
        </Frame>
      </SessionGate>
    </Announcer>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/">
        <HomePage />
      </Route>
      <Route path="/threads/:id/timeline">{({ id }) => <TimelinePage key={id} threadId={id} />}</Route>
      <Route path="/threads/:id?">{({ id }) => <ThreadsPage threadId={id} />}</Route>
      <Route path="/approvals">
        <ApprovalsPage />
      </Route>
      <Route path="/approvals/:id">{({ id }) => <ApprovalPage approvalId={id} />}</Route>
      <Route path="/deliveries">
        <DeliveriesPage />
      </Route>
      <Route>
        <Page title="Nothing here" lead="This address does not lead to a page of the console.">
          <Anchor component={Link} href="/">
            Go to the start
          </Anchor>
        </Page>
      </Route>
    </Switch>
  );
}
