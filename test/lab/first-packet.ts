import type { DnsRecord } from './records.ts';

/** What the first-packet client is asked to do. */
export interface FirstPacketPlan {
  readonly resolver: string;
  readonly resolverPort: number;
  /** Under which fresh names are made: `NONCE-0.SUFFIX`, `NONCE-1.SUFFIX`, … */
  readonly suffix: string;
  readonly nonce: string;
  readonly count: number;
  readonly family: 4 | 6;
  /** Names under way at a time, each with a UDP socket of its own. */
  readonly parallel: number;
  readonly connectPort: number;
  /** Longest wait for one answer and for one connect. */
  readonly limitMs: number;
}

/** What came of it. Nothing was tried twice, except SYNs by the kernel: those are counted. */
export interface FirstPacketReport {
  readonly asked: number;
  readonly answered: number;
  readonly connected: number;
  /** SYNs and SYN+ACKs sent again in this network namespace (TcpExt TCPSynRetrans): 0 = no first packet was lost. */
  readonly synRetransmits: number;
  readonly answerMs: Spread;
  readonly connectMs: Spread;
  readonly totalMs: number;
  /** The first ones, `NAME: what`; `failed` counts all. */
  readonly failures: readonly string[];
  readonly failed: number;
}

/** Order statistics in milliseconds; all 0 when there was nothing to measure. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Sums up `samples`. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** What the plan says about names. */
export type FreshNames = Pick<FirstPacketPlan, 'suffix' | 'nonce' | 'count' | 'family'>;

/** The most names of family 4 that can have an address each: two documentation prefixes without .0 and .255. */
export const MAX_FRESH_V4 = 508;

/**
 * One A or AAAA record for each name of a plan, no address twice: an address that another name has taught
 * proves nothing about the first packet. Throws for more than `MAX_FRESH_V4` names of family 4.
 */
export function freshRecords(plan: FreshNames): readonly DnsRecord[] {
  if (plan.family === 4 && plan.count > MAX_FRESH_V4) {
    throw new RangeError(
      `Cannot give "${plan.count}" names an IPv4 address each: legal is up to ${MAX_FRESH_V4}`,
    );
  }
  return Array.from({ length: plan.count }, (_, index) => ({
    name: `${plan.nonce}-${index}.${plan.suffix}`,
    type: plan.family === 4 ? 'A' : 'AAAA',
    value:
      plan.family === 4
        ? freshV4(index)
        : `2001:db8:2::f:${(index >> 16).toString(16)}:${(index & 0xffff).toString(16)}`,
  }));
}

function freshV4(index: number): string {
  const prefix = index < MAX_FRESH_V4 / 2 ? '198.51.100' : '203.0.113';
  return `${prefix}.${1 + (index % (MAX_FRESH_V4 / 2))}`;
}
