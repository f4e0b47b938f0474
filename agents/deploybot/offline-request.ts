/** Reads what somebody wants of deploybot out of plain words, without a model. Pure. */

export interface Names {
  services: string[];
  environments: string[];
}

export type Request =
  | { kind: "deploy"; service: string; environment: string; tag: string }
  /** `tag` is null for "whatever ran before". */
  | { kind: "roll_back"; service: string; environment: string; tag: string | null }
  | { kind: "status"; places: { service: string; environment: string }[] }
  | { kind: "tags"; services: string[] }
  | { kind: "environments" }
  | { kind: "thanks" }
  /** Something is missing; the hint says what. */
  | { kind: "unclear"; hint: string }
  | { kind: "unknown" };

const versionPattern = /(?<![\w.-])v?\d+(?:\.\d+)+(?:[-+][\w.-]*\w)?/i;
const aliases: Record<string, string> = { prod: "production", live: "production", stage: "staging" };

export function readRequest(message: string, names: Names): Request {
  const lower = message.toLowerCase();
  const says = (pattern: RegExp): boolean => pattern.test(lower);
  const found = {
    services: mentioned(lower, names.services),
    environments: mentioned(withAliases(lower, names.environments), names.environments),
    tag: versionPattern.exec(message)?.[0] ?? null,
  };
  if (says(/\broll(ing)?[\s-]*back\b|\brevert\b/)) return acting("roll_back", found, names);
  if (says(/\b(re)?deploy\b|\bship\b|\broll[\s-]*out\b/) && !says(/^\s*(which|what|can|how|list|show)\b/)) {
    return acting("deploy", found, names);
  }
  if (says(/\bstatus\b|\brun(s|ning)?\b|\bdeployed\b|\bhistory\b|\bcurrent(ly)?\b/)) {
    return { kind: "status", places: places(found, names) };
  }
  if (says(/\btags?\b|\bversions?\b|\breleases?\b/)) {
    return { kind: "tags", services: found.services.length > 0 ? found.services : names.services };
  }
  if (says(/\benvironments?\b|\bservices?\b/)) return { kind: "environments" };
  if (says(/\b(thanks|thank you|thx|cheers)\b/)) return { kind: "thanks" };
  return { kind: "unknown" };
}

interface Mentioned {
  services: string[];
  environments: string[];
  tag: string | null;
}

function acting(kind: "deploy" | "roll_back", found: Mentioned, names: Names): Request {
  const service = only(found.services, names.services);
  const environment = only(found.environments, names.environments);
  if (service !== null && environment !== null) {
    if (kind === "roll_back") return { kind, service, environment, tag: found.tag };
    if (found.tag !== null) return { kind, service, environment, tag: found.tag };
  }
  const missing = [
    ...(service === null ? [`which service (one of ${names.services.join(", ")})`] : []),
    ...(kind === "deploy" && found.tag === null ? ["which tag"] : []),
    ...(environment === null ? [`which environment (one of ${names.environments.join(", ")})`] : []),
  ];
  const whole = [service ?? names.services[0], kind === "deploy" ? (found.tag ?? "v1.2.3") : ""]
    .filter(Boolean)
    .join(" ");
  const example =
    kind === "deploy"
      ? `deploy ${whole} to ${environment ?? names.environments[0]}`
      : `roll back ${whole} in ${environment ?? names.environments[0]}`;
  return { kind: "unclear", hint: `Please say ${missing.join(" and ")}, all in one message: "${example}".` };
}

/** The one that was named, or the only one there is. Two that were named are none: guessing is not for deployments. */
const only = (named: string[], all: string[]): string | null =>
  (named.length === 1 ? named[0] : named.length === 0 && all.length === 1 ? all[0] : null) ?? null;

function places(found: Mentioned, names: Names): { service: string; environment: string }[] {
  const services = found.services.length > 0 ? found.services : names.services;
  const environments = found.environments.length > 0 ? found.environments : names.environments;
  return environments.flatMap((environment) => services.map((service) => ({ service, environment })));
}

const mentioned = (lower: string, names: string[]): string[] =>
  names.filter((name) => new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(lower));

const withAliases = (lower: string, environments: string[]): string =>
  lower.replace(/\b(prod|live|stage)\b/g, (word) => {
    const meant = aliases[word] ?? word;
    return environments.includes(word) || !environments.includes(meant) ? word : meant;
  });
