import type { NameTable } from '../policy/compile-names.ts';
import type { PrefixTable } from '../policy/compile-prefixes.ts';
import type { PortRange } from '../policy/port.ts';

/** A rule as the kernel holds it. `ringBase` and `ringLength`: its share of lease records, 0 = takes none. */
export interface CompiledRule {
  readonly id: number;
  readonly ports: readonly PortRange[];
  readonly privateAnswers: boolean;
  readonly ringBase: number;
  readonly ringLength: number;
}

/** What `applyPolicy` writes into a slot: numbers and bytes only. */
export interface CompiledPolicy {
  readonly policyId: number;
  readonly rules: readonly CompiledRule[];
  readonly names: NameTable;
  readonly prefixes: PrefixTable;
  readonly strictDns: boolean;
  readonly audit: boolean;
  readonly denyNames: boolean;
  /** Local ports on which new inbound flows are taken; absent = on all. */
  readonly inboundPorts?: readonly PortRange[];
  /** Ports of the trusted resolvers, at most four. */
  readonly dnsPorts: readonly number[];
  /** The first id that no rule has had. */
  readonly nextRuleId: number;
}
