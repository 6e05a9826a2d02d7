import type { DnsMode, Rule } from './rule.ts';

/** The settings of a policy besides its rules. */
export interface PolicySettings {
  readonly dns: DnsMode;
  readonly audit: boolean;
  readonly allowPrivateAnswers: boolean;
  readonly noInbound: boolean;
}

/** All that is to be in force for one subject. No two rules have the same canonical text. */
export interface Policy extends PolicySettings {
  readonly rules: readonly Rule[];
}
