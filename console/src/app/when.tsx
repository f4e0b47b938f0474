import { fullTime, shortTime } from "./words.ts";

/** A time, short to read, exact on hover and to machines. */
export function When({ at }: { at: string }) {
  return (
    <time dateTime={at} title={fullTime(at)}>
      {shortTime(at)}
    </time>
  );
}
