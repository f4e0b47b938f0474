/** Plain answers that have one fixed meaning, read without a model. Anything else is null: nobody guesses. */

const yes = new Set([
  "yes",
  "y",
  "yes it did",
  "it did",
  "it happened",
  "ja",
  "oui",
  "sí",
  "si",
  "tak",
  "да",
]);
const no = new Set([
  "no",
  "n",
  "no it did not",
  "it did not",
  "it did not happen",
  "nein",
  "non",
  "nie",
  "нет",
]);

export function readYesNo(text: string): boolean | null {
  const answer = text.normalize("NFC").toLowerCase().replace(/[.,!]/g, " ").replace(/\s+/g, " ").trim();
  if (yes.has(answer)) return true;
  return no.has(answer) ? false : null;
}

/** "extend", "extend 2" (times the budget, at most 10): null when the text says anything else. */
export function readExtension(text: string): number | null {
  const match = /^extend(?:\s+(\d{1,2}))?[.!]?$/i.exec(text.trim());
  if (match === null) return null;
  const times = match[1] === undefined ? 1 : Number(match[1]);
  return times >= 1 && times <= 10 ? times : null;
}
