import { matchesPort, sampleOf } from './port.ts';
import { type DnsMode, letsPass, portsInForce, type Rule } from './rule.ts';
import type { Target } from './target.ts';

type Asked = Pick<Target, 'port' | 'l4Proto'>;

/** Whether a rule holds the port that is asked for; without one, any port of the protocol. */
export function hasPort(rule: Rule, dns: DnsMode, { port, l4Proto }: Asked): boolean {
  const ports = portsInForce(rule, dns);
  if (port !== undefined) return matchesPort(ports, l4Proto, port);
  return ports.length === 0 || ports.some((range) => range.l4Proto === 0 || range.l4Proto === l4Proto);
}

/**
 * Of rules that speak of one host, those that count for the port. Without a port any port is asked for, one that
 * passes is enough: those that count there; where none passes, all that hold a port of the protocol.
 */
export function openRules(speaking: readonly Rule[], dns: DnsMode, asked: Asked): Rule[] {
  const openAt = (at: Asked) => speaking.filter((rule) => hasPort(rule, dns, at));
  if (asked.port !== undefined) return openAt(asked);
  const ranges = speaking.flatMap((rule) => portsInForce(rule, dns));
  for (const port of sampleOf(ranges, asked.l4Proto)) {
    const open = openAt({ ...asked, port });
    if (open.some(letsPass) && !open.some(({ action }) => action === 'deny')) return open;
  }
  return openAt(asked);
}
