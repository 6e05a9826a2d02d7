import type { PortRange } from './port.ts';
import type { DnsMode, Rule } from './rule.ts';
import type { Shaping } from './shaping.ts';
import type { Subject } from './subject.ts';

/** The settings of a policy besides its rules. */
export interface PolicySettings {
  readonly dns: DnsMode;
  readonly audit: boolean;
  readonly allowPrivateAnswers: boolean;
  /** Local ports on which calls from outside are taken: `all`, or these; an empty list is none. */
  readonly inbound: 'all' | readonly PortRange[];
}

/** All that is to be in force for one subject. No two rules have the same canonical text. */
export interface Policy extends PolicySettings {
  readonly rules: readonly Rule[];
}

/** Whom a policy is for, and how fast what it lets pass may go. */
export interface SubjectPolicy {
  readonly subject: Subject;
  readonly policy: Policy;
  /** What it was made of: `flags`, and the names of policies in files. */
  readonly names: readonly string[];
  /** The files that these policies stand in, as their owner gave them; absent where there are none. */
  readonly files?: readonly string[];
  readonly shaping?: Shaping;
}
