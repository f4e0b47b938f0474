/**
 * Approvals: people's decision on exactly one tool call (DESIGN section 5).
 *
 *   pending ──approve──▶ approved ──begin──▶ used
 *      │ ├──edit───────▶ approved (new arguments, new digest)
 *      │ ├──reject─────▶ rejected
 *      │ ├──expiry─────▶ expired        (policy `deny`; `wait` and `escalate` leave it pending)
 *      │ └──withdraw───▶ withdrawn      (a newer proposal on the same subject, or a cancelled thread)
 *      └──ask back────▶ pending         (the question goes to the requester)
 *
 * What runs is the stored row: its digest is compared with the call's in the statement that marks it used, so an
 * approval works for one digest and one time, whatever crashes.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { canonicalJson, type JsonObject } from "./json.ts";
import { type Assurance, assuranceLevels, assuranceSchema, type Sender } from "./words.ts";

export const approvalStatuses = ["pending", "approved", "used", "rejected", "expired", "withdrawn"] as const;
export type ApprovalStatus = (typeof approvalStatuses)[number];

export const verdictSchema = z.enum(["approve", "reject", "edit", "ask_back"]);
export type Verdict = z.infer<typeof verdictSchema>;

export const policySchema = z.object({
  name: z.string(),
  /** Who may decide. Both lists empty: any person whom the access gate hears. */
  people: z.array(z.string()).default([]),
  roles: z.array(z.string()).default([]),
  quorum: z.number().int().min(1).max(10).default(1),
  notRequester: z.boolean().default(false),
  minimumAssurance: assuranceSchema.default("weak"),
  expiresAfterMs: z.number().int().positive().nullable().default(null),
  atExpiry: z.enum(["deny", "wait", "escalate"]).default("deny"),
  /** Roles that may decide as well once the approval has been escalated. */
  escalateTo: z.array(z.string()).default([]),
});
export type Policy = z.infer<typeof policySchema>;

/** What an approval is about. Everything in it is covered by the digest. */
export interface StoredAction {
  tool: string;
  args: JsonObject;
  agent: string;
  threadId: string;
  callId: string;
  requesters: string[];
  policyVersion: string;
  expiresAt: string | null;
}

/** SHA-256 over canonical JSON, in hex. */
export function actionDigest(action: StoredAction): string {
  return createHash("sha256").update(canonicalJson(action)).digest("hex");
}

/** The version of a policy is a short digest of its content: two deployments with the same rules agree. */
export function policyVersion(policy: Policy): string {
  return createHash("sha256").update(canonicalJson(policy)).digest("hex").slice(0, 12);
}

const codeAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";
const codeLength = 6;

/** A short code that a person can type, derived from six random bytes handed in. No look-alike characters. */
export function approvalCode(randomBytes: Uint8Array): string {
  // 48 bits over 31^6 codes: no character is noticeably likelier than another.
  let rest = randomBytes.slice(0, codeLength).reduce((sum, byte) => sum * 256 + byte, 0);
  let code = "";
  while (code.length < codeLength) {
    code += codeAlphabet[rest % codeAlphabet.length];
    rest = Math.floor(rest / codeAlphabet.length);
  }
  return code;
}

export interface Decider {
  sender: Sender;
  roles: readonly string[];
}

export type Permission = { allowed: true } | { allowed: false; reason: string };

/** Whether this person may decide, and if not, why, in words that can be shown to them. Pure. */
export function mayDecide(
  policy: Policy,
  decider: Decider,
  requesters: readonly string[],
  escalated: boolean,
): Permission {
  const { sender, roles } = decider;
  if (sender.kind !== "human") return no("Only a person can decide this.");
  const person = sender.person;
  if (person === undefined)
    return no("We do not know who you are here. Ask an administrator to link your identity.");
  // Who asked before their identity was linked to a person is known by the identity.
  const names = [person, `${sender.channel}:${sender.identity}`];
  if (policy.notRequester && names.some((name) => requesters.includes(name))) {
    return no("You asked for this yourself; somebody else has to decide.");
  }
  if (assuranceRank(sender.assurance) > assuranceRank(policy.minimumAssurance)) {
    return no(
      `This needs a decision with the assurance "${policy.minimumAssurance}"; yours is "${sender.assurance}". Decide it in the console.`,
    );
  }
  const allowedRoles = escalated ? [...policy.roles, ...policy.escalateTo] : policy.roles;
  if (policy.people.length === 0 && policy.roles.length === 0) return { allowed: true };
  if (policy.people.includes(person) || roles.some((role) => allowedRoles.includes(role))) {
    return { allowed: true };
  }
  return no(`The policy "${policy.name}" does not let you decide this.`);
}

const assuranceRank = (assurance: Assurance): number => assuranceLevels.indexOf(assurance);
const no = (reason: string): Permission => ({ allowed: false, reason });

const visibleNames: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Makes what a card shows the same as what runs: control, bidi and zero-width characters, every blank but the plain
 * space, and what has no glyph become visible escapes; nothing is ever cut. A backslash is escaped too, so that no two
 * texts are shown alike. Unicode TR 36 names the characters that reorder or hide text; letters that resemble each
 * other stay as they are.
 */
export const visibleText = (text: string): string => harmlessText(text.replace(/\\/g, "\\\\"));

/** The same for a value, as JSON: there a backslash is escaped already, so it is not doubled once more. */
export const visibleJson = (value: unknown): string => harmlessText(JSON.stringify(value));

/** For ordinary prose: what hides or steers becomes visible, but a backslash stays a backslash. Not for what is approved. */
export const harmlessText = (text: string): string => text.replace(hidden, escaped);

const hidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

const escaped = (character: string): string =>
  visibleNames[character] ?? `\\u{${character.codePointAt(0)?.toString(16) ?? "?"}}`;
