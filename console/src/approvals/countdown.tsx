import { useEffect, useState } from "react";
import { fullTime, spanText } from "../app/words.ts";

/** How long an approval can still be given. Ticks each second; silent to screen readers. */
export function Countdown({ until }: { until: string }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = Date.parse(until) - now;
  return (
    <time dateTime={until} title={fullTime(until)} role="timer" aria-live="off">
      {left > 0 ? `in ${spanText(left)}` : "due now"}
    </time>
  );
}
