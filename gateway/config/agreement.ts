/** What a schema cannot see: whether the parts of parley.yaml agree with each other and with the agents there are. */
import { choiceOf } from "./did-you-mean.ts";
import { byLine, type Locate, type Path } from "./file.ts";
import type { Problem } from "./problems.ts";
import type { FileSettings } from "./schema.ts";

/** Whoever signs in with the admin token is this person, and has this role, whatever parley.yaml says. */
const admin = { id: "admin", role: "admin" };

type Report = (path: Path, problem: string, fix: string) => void;

export function disagreements(
  settings: FileSettings,
  agents: readonly string[],
  locate: Locate = () => "the built-in configuration",
): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, problem, fix) => problems.push({ where: locate(path), problem, fix });
  checkAgents(settings, agents, report);
  checkPeople(settings, report);
  checkPolicies(settings, report);
  checkDelivery(settings, report);
  return problems.sort(byLine);
}

function checkAgents(
  { agents: section, routes }: FileSettings,
  agents: readonly string[],
  report: Report,
): void {
  const known = (path: Path, name: string, choice: readonly string[]): void => {
    if (choice.includes(name)) return;
    const why = agents.includes(name) ? "is not in agents.enabled" : "does not exist";
    report(path, `The agent "${name}" ${why}.`, choiceOf(name, choice));
  };
  section.enabled?.forEach((name, index) => {
    known(["agents", "enabled", index], name, agents);
  });
  const enabled = section.enabled?.filter((name) => agents.includes(name)) ?? agents;
  known(["agents", "default"], section.default, enabled);
  for (const name of Object.keys(section.settings)) known(["agents", "settings", name], name, agents);
  routes.forEach((route, index) => {
    known(["routes", index, "agent"], route.agent, enabled);
  });
}

function checkPeople({ people }: FileSettings, report: Report): void {
  const seen: { person: string; channel: string; account: string | null; identity: string }[] = [];
  people.forEach((person, index) => {
    const first = people.findIndex(({ id }) => id === person.id);
    if (first < index)
      report(["people", index, "id"], `There are two people "${person.id}".`, "rename or merge them.");
    person.identities.forEach((identity, position) => {
      const holder = seen.find(
        (other) =>
          other.channel === identity.channel &&
          other.identity === identity.identity &&
          (other.account === null || identity.account === null || other.account === identity.account),
      );
      if (holder !== undefined) {
        const path = ["people", index, "identities", position];
        const problem = `The identity ${identity.channel}:${identity.identity} already belongs to "${holder.person}".`;
        report(path, problem, "give each identity to one person only.");
      }
      seen.push({ person: person.id, ...identity });
    });
  });
}

function checkPolicies({ people, policies }: FileSettings, report: Report): void {
  const ids = [...new Set([admin.id, ...people.map(({ id }) => id)])];
  const roles = [...new Set([admin.role, ...people.flatMap((person) => person.roles)])];
  for (const [name, policy] of Object.entries(policies)) {
    const at = (...rest: Path): Path => ["policies", name, ...rest];
    policy.people.forEach((id, index) => {
      if (!ids.includes(id)) report(at("people", index), `There is no person "${id}".`, choiceOf(id, ids));
    });
    for (const list of ["roles", "escalateTo"] as const) {
      policy[list].forEach((role, index) => {
        if (!roles.includes(role))
          report(at(list, index), `Nobody has the role "${role}".`, choiceOf(role, roles));
      });
    }
    checkQuorum(policy, people, (problem, fix) => report(at("quorum"), problem, fix));
    if (policy.atExpiry !== "deny" && policy.expiresAfter === undefined) {
      report(at("atExpiry"), "It never expires.", "add expiresAfter, like 2h, or remove atExpiry.");
    }
    if (policy.atExpiry === "escalate" && policy.escalateTo.length === 0) {
      report(at("atExpiry"), "It escalates to nobody.", "add escalateTo with at least one role.");
    }
  }
}

function checkQuorum(
  policy: FileSettings["policies"][string],
  people: FileSettings["people"],
  report: (problem: string, fix: string) => void,
): void {
  if (policy.people.length === 0 && policy.roles.length === 0) return;
  const everybody = [...people, { id: admin.id, roles: [admin.role] }];
  const deciders = everybody.filter(
    ({ id, roles }) => policy.people.includes(id) || roles.some((role) => policy.roles.includes(role)),
  );
  const count = new Set(deciders.map(({ id }) => id)).size;
  // Nobody at all means that a name is unknown, and that is reported already.
  if (count >= policy.quorum || count === 0) return;
  const problem = `It asks for ${policy.quorum} people, but only ${count} may decide.`;
  report(problem, "lower the quorum, or let more people decide.");
}

function checkDelivery({ delivery }: FileSettings, report: Report): void {
  if (delivery.longestRetryAfter >= delivery.firstRetryAfter) return;
  report(
    ["delivery", "longestRetryAfter"],
    "It is shorter than firstRetryAfter.",
    "make it at least as long.",
  );
}
