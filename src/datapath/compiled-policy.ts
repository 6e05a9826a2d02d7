import type { NameTable } from '../policy/compile-names.ts';
import type { PrefixTable } from '../policy/compile-prefixes.ts';
import type { PortRange } from '../policy/port.ts';

/** Where the lease records of a rule lie in `lease_ring`; of length 0 for one that takes none. */
export interface Share {
  readonly ringBase: number;
  readonly ringLength: number;
}

/** Shares by the id of their rule. */
export type Shares = ReadonlyMap<number, Share>;

/** A rule as the kernel holds it. */
export interface CompiledRule extends Share {
  readonly id: number;
  readonly ports: readonly PortRange[];
  readonly privateAnswers: boolean;
  /** What passes by it is reported as what would be refused. */
  readonly audit: boolean;
}

/** What one subject is judged by. */
export interface CompiledSubject {
  readonly policyId: number;
  readonly names: NameTable;
  readonly prefixes: PrefixTable;
  readonly strictDns: boolean;
  readonly audit: boolean;
  readonly denyNames: boolean;
  /** Local ports on which new inbound flows are taken: `all`, or these; an empty list is none. */
  readonly inbound: 'all' | readonly PortRange[];
}

/** What `applyPolicy` writes into a slot: numbers and bytes only. */
export interface CompiledPolicy {
  readonly subjects: readonly CompiledSubject[];
  /** Of all subjects; no two have the same id. */
  readonly rules: readonly CompiledRule[];
  /** Ports of the trusted resolvers, at most four. */
  readonly dnsPorts: readonly number[];
  /** The shares of the policy in force, whose records move where a rule of this one has another. */
  readonly sharesBefore: Shares;
  /** The first id that no rule has had. */
  readonly nextRuleId: number;
}
