/** A process of its own that hears threads and never finishes with one; the tests kill it in the middle. */
import { openQueue, type QueueServer } from "../../queue/queue.ts";

const [server, prefix] = process.argv.slice(2);
if (!server || !prefix) throw new Error("usage: hanging-consumer <server as JSON> <prefix>");
const queue = await openQueue(JSON.parse(server) as QueueServer, { prefix, log: () => {} });
const hang = (id: string) => {
  console.log(`heard ${id}`);
  return new Promise<void>(() => {});
};
queue.consume({ thread: hang, delivery: hang, timer: hang }, 4);
console.log("listening");
