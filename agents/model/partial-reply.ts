/**
 * Reads the text of a reply out of a step's JSON while it is still being written, so that people can watch it grow.
 * Each character is looked at once, however many pieces it comes in. What is shown is lost without harm: only the
 * committed reply counts, so on anything unexpected this falls silent instead of failing.
 *
 * The step is `{"step": {...}}` or bare; text is given out only once `"intent": "reply"` was read in the same object.
 */

/** A container being read. In an object, `key` is the member whose value comes next; null where a key is expected. */
interface Level {
  readonly kind: "object" | "array";
  key: string | null;
}

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

const watched = ["intent", "text"] as const;
type Watched = (typeof watched)[number];

export class PartialReply {
  #levels: Level[] = [];
  #broken = false;
  /** The string being read, or null outside of one. */
  #string: { purpose: "key" | Watched | "other"; value: string } | null = null;
  /** A backslash and what follows it, until the escape is whole. */
  #escape = "";
  #intent: string | null = null;
  #text = "";
  /** Characters of `#text` that were given out already, and what they were. */
  #taken = 0;
  #shown = "";

  /** Takes the next piece. Returns the reply's text so far when it has grown, otherwise null. */
  push(piece: string): string | null {
    for (let index = 0; index < piece.length && !this.#broken; index++) this.#read(piece.charAt(index));
    return this.#grown();
  }

  #grown(): string | null {
    if (this.#intent !== "reply" || this.#broken) return null;
    // The second half of a surrogate pair may be in the next piece.
    const end = this.#text.length - (endsWithHighSurrogate(this.#text) ? 1 : 0);
    if (end <= this.#taken) return null;
    this.#shown += this.#text.slice(this.#taken, end).toWellFormed();
    this.#taken = end;
    return this.#shown;
  }

  #read(unit: string): void {
    if (this.#string !== null) this.#readInString(unit);
    else this.#readStructure(unit);
  }

  #readStructure(unit: string): void {
    const level = this.#levels.at(-1);
    if (unit === '"') this.#string = { purpose: this.#purpose(), value: "" };
    else if (unit === "{") this.#levels.push({ kind: "object", key: null });
    else if (unit === "[") this.#levels.push({ kind: "array", key: null });
    else if (unit === "}" || unit === "]") this.#levels.pop();
    else if (unit === "," && level?.kind === "object") level.key = null;
    this.#broken = this.#levels.length > maxDepth;
  }

  #purpose(): "key" | Watched | "other" {
    const level = this.#levels.at(-1);
    if (level?.kind !== "object") return "other";
    if (level.key === null) return "key";
    const inStep =
      this.#levels.length === 1 || (this.#levels.length === 2 && this.#levels[0]?.key === "step");
    return (inStep && watched.find((name) => name === level.key)) || "other";
  }

  #readInString(unit: string): void {
    if (this.#escape !== "") this.#readEscape(unit);
    else if (unit === "\\") this.#escape = unit;
    else if (unit === '"') this.#endString();
    else this.#append(unit);
  }

  #readEscape(unit: string): void {
    this.#escape += unit;
    if (this.#escape[1] !== "u") {
      const character = escapes[unit];
      this.#escape = "";
      if (character === undefined) this.#broken = true;
      else this.#append(character);
    } else if (this.#escape.length === 6) {
      const digits = this.#escape.slice(2);
      this.#escape = "";
      if (/^[0-9a-f]{4}$/i.test(digits)) this.#append(String.fromCharCode(Number.parseInt(digits, 16)));
      else this.#broken = true;
    }
  }

  #append(text: string): void {
    if (this.#string === null || this.#string.purpose === "other") return;
    if (this.#string.purpose === "text") this.#text += text;
    else if (this.#string.value.length < maxNameCharacters) this.#string.value += text;
  }

  #endString(): void {
    const level = this.#levels.at(-1);
    if (this.#string?.purpose === "key" && level !== undefined) level.key = this.#string.value;
    if (this.#string?.purpose === "intent") this.#intent = this.#string.value;
    this.#string = null;
  }
}

/** Longer keys and intents are none that we look for. */
const maxNameCharacters = 100;
const maxDepth = 1_000;

function endsWithHighSurrogate(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
