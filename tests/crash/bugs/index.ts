/** Every planted bug. The harness is worth what it catches of them. */
import { approvalBugs } from "./approvals.ts";
import type { Bug } from "./bug.ts";
import { deliveryBugs } from "./delivery.ts";
import { ingestBugs } from "./ingest.ts";
import { loopBugs } from "./loop.ts";

export const bugs: readonly Bug[] = [...ingestBugs, ...loopBugs, ...deliveryBugs, ...approvalBugs];

export function bugNamed(name: string): Bug {
  const bug = bugs.find((each) => each.name === name);
  if (bug === undefined) throw new Error(`there is no planted bug "${name}"`);
  return bug;
}
