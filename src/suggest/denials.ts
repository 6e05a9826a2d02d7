import type { PortRange } from '../policy/port.ts';
import { parseAddress } from '../policy/prefix.ts';
import type { Rule } from '../policy/rule.ts';
import { holdsAddress } from '../policy/who.ts';

/** The deny rule, if any, that speaks against some of `range` at an address. */
export function findDenial(denials: readonly Rule[], address: string, range: PortRange): Rule | undefined {
  return denials.find(
    ({ who, ports }) =>
      (ports.length === 0 || ports.some((denied) => overlap(denied, range))) &&
      holdsAddress(who, parseAddress(address)),
  );
}

function overlap(a: PortRange, b: PortRange): boolean {
  return a.l4Proto === b.l4Proto && a.low <= b.high && b.low <= a.high;
}
