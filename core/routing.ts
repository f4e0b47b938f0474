/**
 * Which agent takes a new thread. Rules in order, the first that fits wins, then the default: where a rule can tell, no
 * model is asked, and the same message always goes to the same agent.
 */
import { matchesText, type SenderPattern, senderMatches } from "./access.ts";
import type { Binding, Sender } from "./words.ts";

/** Each list is an "or"; the lists together are an "and". What is left out matches everything. */
export interface RouteMatch {
  readonly channel?: readonly string[] | undefined;
  readonly room?: readonly string[] | undefined;
  readonly sender?: readonly SenderPattern[] | undefined;
  /** Whole words or phrases anywhere in the text, in any case. */
  readonly keyword?: readonly string[] | undefined;
  /** The first word of the text, with or without its slash. */
  readonly command?: readonly string[] | undefined;
}

export interface RouteRule {
  readonly match: RouteMatch;
  readonly agent: string;
}

export interface Routing {
  readonly rules: readonly RouteRule[];
  readonly default: string;
}

export interface RouteFacts {
  readonly binding: Binding;
  readonly sender: Sender;
  readonly text: string;
}

export function routeThread(routing: Routing, facts: RouteFacts): string {
  return routing.rules.find((rule) => routeMatches(rule.match, facts))?.agent ?? routing.default;
}

function routeMatches(match: RouteMatch, { binding, sender, text }: RouteFacts): boolean {
  return (
    someOf(match.channel, (channel) => channel === binding.channel) &&
    someOf(match.room, (room) => matchesText(room, binding.room)) &&
    someOf(match.sender, (pattern) => senderMatches(pattern, sender)) &&
    someOf(match.keyword, (keyword) => holdsWord(text, keyword)) &&
    someOf(match.command, (command) => bare(command) === bare(firstWord(text)))
  );
}

const someOf = <T>(wanted: readonly T[] | undefined, fits: (each: T) => boolean): boolean =>
  wanted === undefined || wanted.some(fits);

const words = (text: string): string =>
  ` ${text
    .toLowerCase()
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim()} `;

const holdsWord = (text: string, keyword: string): boolean => words(text).includes(words(keyword));
const firstWord = (text: string): string => text.trimStart().split(/\s/, 1)[0] ?? "";
const bare = (command: string): string => command.toLowerCase().replace(/^\//, "");
