#!/usr/bin/env node
/** The `parley` command: cli/main.ts, in this very process when its Node can run it, else on a Node that can. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { become } from "./child.mjs";
import "./lifeline.mjs";
import { fitNode, root } from "./node.mjs";

/**
 * V8 lets the space for young objects grow to tens of megabytes under load and keeps it. 4 MB halve what a busy worker
 * holds resident, at no cost that bench/ can see. npm start and the image give the same flag where no child is needed.
 */
const youngSpace = "--max-semi-space-size=4";
const main = join(root, "cli", "main.ts");
const node = fitNode();

if (node === process.execPath) {
  process.argv[1] = main;
  muteTypeStrippingWarning();
  await import(pathToFileURL(main).href);
} else {
  become(node, [youngSpace, main, ...process.argv.slice(2)], { graceMs: 20_000 });
}

/** Node 22 and early 24 say on every start that running TypeScript is experimental. The user cannot act on it. */
function muteTypeStrippingWarning() {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = (warning, ...rest) => {
    if (!String(warning).startsWith("Type Stripping")) emit(warning, ...rest);
  };
}
