/**
 * A secret that cannot be printed by accident: strings, JSON and the inspector all show "[redacted]". Only `reveal`
 * gives it out, so that a search for that word finds every place where a secret is used.
 */
import { inspect } from "node:util";

const shown = "[redacted]";

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** For the one call that needs it. Never log or store what it returns. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [Symbol.toPrimitive](): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}
