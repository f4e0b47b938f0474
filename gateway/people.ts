/** Who is who: people of parley.yaml with their roles and their identity on each channel. */
import type { Sender } from "../core/words.ts";
import type { PersonConfig } from "./config/index.ts";

export interface People {
  rolesOf(person: string): readonly string[];
  nameOf(person: string): string;
  /** The sender with its person filled in, where the identity belongs to one. */
  recognize(sender: Sender): Sender;
}

/** The person that the admin token belongs to. It holds the role `admin` whatever parley.yaml says. */
export const adminPerson = "admin";

export function openPeople(configured: readonly PersonConfig[]): People {
  const byId = new Map(configured.map((person) => [person.id, person]));
  const rolesOf = (person: string): readonly string[] => {
    const roles = byId.get(person)?.roles ?? [];
    return person === adminPerson && !roles.includes("admin") ? [...roles, "admin"] : roles;
  };
  return {
    rolesOf,
    nameOf: (person) => byId.get(person)?.name ?? person,
    recognize(sender) {
      if (sender.person !== undefined) return sender;
      const owner = configured.find(({ identities }) =>
        identities.some(
          ({ channel, account, identity }) =>
            channel === sender.channel &&
            (account === null || account === sender.account) &&
            identity === sender.identity,
        ),
      );
      return owner === undefined ? sender : { ...sender, person: owner.id };
    },
  };
}
