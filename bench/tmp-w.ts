import { table } from "/work/main/bench/figures.ts";
import { waiting } from "/work/main/bench/waiting.ts";

console.log(table(await waiting(14_000, () => {})));
