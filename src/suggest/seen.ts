import type { Reason } from '../flow/reason.ts';
import type { DnsMode } from '../policy/rule.ts';

/** What became of it: it passed, was refused, or a deny rule spoke against it, whether that was in force or audited. */
export const FATES = ['passed', 'refused', 'barred'] as const;

/** A word of `FATES`. */
export type Fate = (typeof FATES)[number];

/** `call`: it began here; `reply`: it came from a port that is served here, to one of a caller, or is an answer or error of ICMP. */
export const WAYS = ['call', 'reply'] as const;

/** A word of `WAYS`. */
export type Way = (typeof WAYS)[number];

/** What all that was seen has: by whom, how often, and when, since 1970. */
export interface SeenHead {
  readonly subject: string;
  readonly fate: Fate;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The rule that decided last. */
  readonly rule?: string;
}

/**
 * Where something was sent, by what a rule can say of it. `port`: of the destination, for ICMP the type, of a reply the
 * own one; absent where the protocol has none. `name`: a name that the subject looked up and that leads there; absent =
 * none is known. `fromPort`: the last own port of a call that has the ports of a reply. `addresses`: the first ones, `hasMore`: there were others.
 */
export interface SeenFlow extends SeenHead {
  readonly kind: 'flow';
  readonly way: Way;
  readonly l4Proto: number;
  readonly port?: number;
  readonly name?: string;
  readonly fromPort?: number;
  readonly addresses: readonly string[];
  readonly hasMore: boolean;
  readonly reasons: readonly Reason[];
}

/** A name that was looked up. */
export interface SeenLookup extends SeenHead {
  readonly kind: 'lookup';
  readonly name: string;
}

/** Packets, or lookups, that no rule can speak of, as they could not be read. */
export interface SeenUnread {
  readonly kind: 'unread';
  readonly subject: string;
  readonly reason: Reason;
  readonly count: number;
}

/**
 * What a list may lack. `lookups`: so many found no room, and calls to their names stand as addresses; `names`: so many
 * addresses may have more names than are kept.
 */
export interface SeenMissing {
  readonly kind: 'missing';
  readonly subject: string;
  readonly what: 'lookups' | 'names';
  readonly count: number;
}

/** Anything that was seen. */
export type SeenLine = SeenFlow | SeenLookup | SeenUnread | SeenMissing;

/** The line behind all others of an answer, of which there are so many: without it the answer was cut short. */
export function endLine(lines: number): string {
  return JSON.stringify({ kind: 'end', lines });
}

/** Names of one address that an enforcer keeps, whoever looked them up. */
export const NAMES_OF_ADDRESS = 8;

/** What was seen since the start; `others`: flows past the limit, which are only counted. */
export interface Seen {
  readonly flows: readonly SeenFlow[];
  readonly lookups: readonly SeenLookup[];
  readonly unread: readonly SeenUnread[];
  readonly missing: readonly SeenMissing[];
  readonly others: number;
  readonly lost: number;
}

/** The settings of a policy in force that a list in its place has to keep, in the texts of flags. */
export interface SubjectInForce {
  readonly subject: string;
  /** What it was made of: `flags`, and names of policies in files. */
  readonly policies: readonly string[];
  readonly dns: DnsMode;
  readonly audit: boolean;
  readonly allowPrivateAnswers: boolean;
  /** Local ports on which calls from outside are taken; absent = all. */
  readonly inbound?: readonly string[];
  readonly rate?: string;
  readonly ceil?: string;
}

/** A deny rule in force, canonical, and what its owner calls it. */
export interface Denial {
  readonly kind: 'denial';
  readonly subject: string;
  readonly rule: string;
  readonly source: string;
}

/** The enforcer that saw it, as far as another one has to be started like it. */
export interface Enforcing {
  readonly instance: string;
  readonly startedMs: number;
  /** What was in force before its start went on: flows of that time were not seen. */
  readonly adopted: boolean;
  /** It was made for one command, by `run`. */
  readonly isRun: boolean;
  readonly netns?: string;
  readonly ifaces: readonly string[];
  readonly efaces: readonly string[];
  /** Trusted resolvers as -resolver takes them, and whether they were given so. */
  readonly resolvers: readonly string[];
  readonly areResolversGiven: boolean;
  readonly ownAddresses: readonly string[];
  readonly subjects: readonly SubjectInForce[];
}

/** What one subject did, and the policy that it did it under. */
export interface SubjectSeen {
  readonly inForce: SubjectInForce;
  readonly seen: Seen;
  readonly denials: readonly Denial[];
  readonly enforcing: Enforcing;
}
