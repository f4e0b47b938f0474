/**
 * The processes of one lane: a gateway and two workers, and spares that have loaded everything but do not know yet what
 * they will be. Whoever is killed is replaced at once; whoever is frozen is thawed after its lease has run out.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Answer, Beginning, Order } from "./orders.ts";
import type { OwnFault } from "./probe.ts";
import { type Fault, leaseMs, type Role } from "./words.ts";

const answerWithinMs = 8_000;
/** A busy machine may take long to load a dozen processes at once. */
const startWithinMs = 60_000;
const frozenMs = leaseMs + 500;

export type Settings = Omit<Beginning, "do" | "role">;

/** A process that did not answer: it is gone, or it refused. `gone` means that nobody knows what it did. */
export class NoAnswer extends Error {
  readonly gone: boolean;
  constructor(message: string, gone: boolean) {
    super(message);
    this.gone = gone;
  }
}

interface Member {
  readonly pid: number;
  readonly ended: boolean;
  ask(order: Order): Promise<unknown>;
  end(): void;
}

export interface Crew {
  /** Everybody in place, with these settings; who is there already stays. */
  ready(settings: Settings): Promise<void>;
  arm(faults: readonly OwnFault[]): Promise<void>;
  gateway(order: Order): Promise<unknown>;
  /** Ends everybody in service: the next `ready` starts new ones. */
  dismiss(): void;
  /** Faults that came about since the last `arm`, and the processes that they struck. */
  readonly hits: OwnFault[];
  readonly struck: number[];
  /** Frozen processes that are not thawed yet. */
  readonly frozen: Set<number>;
  close(): void;
}

const places: readonly Role[] = ["gateway", "worker", "worker"];

const isMeant = ({ role, all }: OwnFault, place: number): boolean =>
  role === places[place] && (all || place === places.indexOf(role));

export function openCrew(spares = 1): Crew {
  const waiting: Member[] = [];
  let service: (Member | null)[] = places.map(() => null);
  /** Who has begun its service, and can be told something. */
  const begun = new Set<Member>();
  let settings: Settings | null = null;
  let closed = false;
  const hits: OwnFault[] = [];
  const struck: number[] = [];
  const frozen = new Set<number>();

  const hire = (): Member => startMember((fault, pid) => strike(fault, pid), onEnd);
  const fill = (): void => {
    while (!closed && waiting.length < spares) waiting.push(hire());
  };
  function strike(fault: OwnFault, pid: number): void {
    hits.push(fault);
    struck.push(pid);
    if (fault.kind !== "freeze") return;
    frozen.add(pid);
    setTimeout(() => {
      frozen.delete(pid);
      try {
        process.kill(pid, "SIGCONT");
      } catch {
        // It was ended while it was frozen.
      }
    }, frozenMs);
  }
  function onEnd(member: Member): void {
    const place = service.indexOf(member);
    const spare = waiting.indexOf(member);
    begun.delete(member);
    if (spare >= 0) waiting.splice(spare, 1);
    if (place < 0 || closed || settings === null) return;
    service[place] = null;
    void replace(place);
  }
  async function replace(place: number): Promise<void> {
    const role = places[place];
    if (role === undefined || settings === null) return;
    const member = waiting.shift() ?? hire();
    service[place] = member;
    // A spare takes half a second of processor time to load: not while somebody waits for a replacement.
    setTimeout(fill, 300);
    await member.ask({ do: "begin", role, ...settings }).then(
      () => begun.add(member),
      () => member.end(),
    );
  }

  return {
    hits,
    struck,
    frozen,
    async ready(wanted) {
      settings = wanted;
      await Promise.all(service.map((member, place) => (member === null ? replace(place) : null)));
      const deadline = performance.now() + startWithinMs;
      while (!service.every((member) => member !== null && begun.has(member))) {
        if (performance.now() > deadline) throw new Error("the processes of the harness do not start");
        await sleep(10);
      }
    },
    async arm(faults) {
      hits.length = 0;
      struck.length = 0;
      await Promise.all(
        service.map((member, place) =>
          // Whoever ends at this moment has no fault to come to.
          member?.ask({ do: "arm", faults: faults.filter((fault) => isMeant(fault, place)) }).catch(() => {}),
        ),
      );
    },
    async gateway(order) {
      const member = service[0];
      if (member === null || member === undefined || !begun.has(member))
        throw new NoAnswer("there is no gateway", false);
      return member.ask(order);
    },
    dismiss() {
      const old = service;
      service = places.map(() => null);
      for (const member of old) member?.end();
    },
    close() {
      closed = true;
      for (const member of [...service, ...waiting]) member?.end();
    },
  };
}

/** Halves the time until a process has loaded. */
const compiled = join(tmpdir(), "parley-crash-compiled");
const program = fileURLToPath(new URL("./child.ts", import.meta.url));

function startMember(
  onHere: (fault: OwnFault, pid: number) => void,
  onEnd: (member: Member) => void,
): Member {
  const child: ChildProcess = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"],
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
  });
  const open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const pid = child.pid ?? 0;
  let numbers = 0;
  let ended = false;
  child.stdio[4]?.on("data", (chunk: Buffer) => {
    for (const line of chunk.toString().split("\n").filter(Boolean))
      onHere(JSON.parse(line) as Fault as OwnFault, pid);
  });
  child.on("message", (message) => {
    const answer = message as Answer;
    const asked = open.get(answer.number);
    open.delete(answer.number);
    if ("error" in answer) asked?.reject(new NoAnswer(answer.error, false));
    else asked?.resolve(answer.value);
  });
  child.once("exit", () => {
    ended = true;
    for (const { reject } of open.values()) reject(new NoAnswer("the process is gone", true));
    open.clear();
    onEnd(member);
  });
  child.on("error", () => {});
  const member: Member = {
    pid,
    get ended() {
      return ended;
    },
    end: () => void child.kill("SIGKILL"),
    ask(order) {
      if (ended || !child.connected) return Promise.reject(new NoAnswer("the process is gone", false));
      numbers += 1;
      const number = numbers;
      return new Promise((resolve, reject) => {
        const limit = setTimeout(
          () => {
            open.delete(number);
            reject(new NoAnswer(`no answer to ${order.do}`, true));
          },
          order.do === "begin" ? startWithinMs : answerWithinMs,
        );
        const settled =
          <T>(then: (value: T) => void) =>
          (value: T) => {
            clearTimeout(limit);
            then(value);
          };
        open.set(number, { resolve: settled(resolve), reject: settled(reject) });
        child.send({ number, order }, (error) => {
          if (error) open.get(number)?.reject(new NoAnswer("the process is gone", true));
        });
      });
    },
  };
  return member;
}
