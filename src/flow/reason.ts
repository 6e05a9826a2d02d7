/**
 * The words of events, each at the index that is its number in bpf/contract.h. Numbers are never
 * reused, so words are only added at the end.
 */
export const REASONS = [
  'none',
  'rule-cidr',
  'rule-name',
  'no-rule',
  'port',
  'deny-cidr',
  'ethertype',
  'unreadable',
  'fragment',
  'mapped',
  'lease-ended',
  'withdrawn',
  'dns-strict',
  'dns-denied',
  'dns-unreadable',
  'learned',
  'dns-unparsed',
  'dns-inward',
  'established',
  'internal',
  'observed',
  'dns-type',
  'audit',
  'ended',
  'dns-failed',
] as const;

/** Why a packet or a lookup was judged as it was. */
export type Reason = (typeof REASONS)[number];

/** Index 0 is no verdict. `would_deny`: passed because of audit. */
export const VERDICTS = [undefined, 'allow', 'deny', 'would_deny'] as const;

/** What was decided. */
export type Verdict = Exclude<(typeof VERDICTS)[number], undefined>;

/** Why the kernel left an answer to user space (reason `dns-unparsed`). Index 0 is none. */
export const UNPARSED = [undefined, 'split', 'fragment', 'size', 'steps', 'truncated', 'hints'] as const;

/** A word of `UNPARSED`. */
export type Unparsed = Exclude<(typeof UNPARSED)[number], undefined>;
