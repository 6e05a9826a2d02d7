import type { PortRange } from '../policy/port.ts';
import type { DnsMode, Rule } from '../policy/rule.ts';
import type { Subject } from '../policy/subject.ts';

/**
 * One thing to allow. `name`: a plain name; `suffix`: every name under one, with the names that it stands for;
 * `address`: a bare address, with the names that lead there, as remarks only.
 */
export type Wanted =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'suffix'; readonly suffix: string; readonly names: readonly string[] }
  | { readonly kind: 'address'; readonly address: string; readonly names: readonly string[] };

/** Something to allow on ports. `addresses`: those that something was sent to; `hasMore`: these were not all. */
export interface Entry {
  readonly wanted: Wanted;
  /** Merged, of no protocol 0; never empty. */
  readonly ports: readonly PortRange[];
  readonly addresses: readonly string[];
  readonly hasMore: boolean;
}

/** The list that would allow what a subject did, and all else that has to be said of it. */
export interface Suggestion {
  readonly subject: Subject;
  /** Names first, then suffixes, then addresses; each sorted. */
  readonly entries: readonly Entry[];
  /** Names that were only looked up, which strict DNS has to let pass. */
  readonly lookups: readonly string[];
  readonly dns: DnsMode;
  readonly allowPrivateAnswers: boolean;
  /** Local ports on which calls from outside are taken; absent = as the subject has it by default. */
  readonly inbound?: readonly PortRange[];
  readonly rate?: string;
  readonly ceil?: string;
  /** Deny rules in force, which go on. */
  readonly denials: readonly Rule[];
  /** Sentences for the owner; texts from outside in them are escaped. */
  readonly remarks: readonly string[];
}

/** The text of a list in one format, and what that format can't say, a sentence each. */
export interface Document {
  readonly lines: readonly string[];
  readonly remarks: readonly string[];
  /** How many addresses stand in it, where it has no names. */
  readonly addresses?: number;
}

/** Whether it would allow no call. */
export function isEmpty({ entries, lookups }: Suggestion): boolean {
  return entries.length === 0 && lookups.length === 0;
}
