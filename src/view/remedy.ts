import { parseAddress } from '../dns/resolver.ts';
import type { DnsEvent, FlowEvent } from '../flow/event.ts';
import { isInward } from '../policy/inward.ts';
import { matchesPort, type PortRange } from '../policy/port.ts';
import { type DnsMode, letsPass, type Rule } from '../policy/rule.ts';

/** What was in force, as far as it says which flag helps. */
export interface InForce {
  /** Of the rules: those that flags gave matter, for their ports. */
  readonly rules: readonly RuleInForce[];
  readonly dns: DnsMode;
  /** Trusted resolvers as `-resolver` takes them. */
  readonly resolvers: readonly string[];
}

/** What is looked at of a rule. */
export type RuleInForce = Pick<Rule, 'action' | 'ports' | 'source'>;

const DNS_PORT = 53;
const DOT_PORT = 853;
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['icmpv6', 58],
  ['sctp', 132],
]);
const ICMP = ['icmp', 'icmpv6'];
/** What `-name` takes to the letter, and a shell too; a name of the network may hold anything. */
const PLAIN_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/iu;

/** The flags that would let a refused lookup pass, given besides those that were; empty when none would. */
export function remedyOfLookup({ qname, reason, rule }: DnsEvent): string {
  if (reason === 'dns-denied') return withoutRule(rule);
  const name = qname?.replace(/\.$/u, '') ?? '';
  return reason !== 'dns-unreadable' && PLAIN_NAME.test(name) ? `-name=${name}` : '';
}

/** The same of a refused packet or call. */
export function remedyOfFlow({ packet, reason, rule, names }: FlowEvent, inForce: InForce): string {
  if (packet.family === 'unread') return '';
  if (reason === 'deny-cidr') return withoutRule(rule);
  const { dst, dport, proto } = packet;
  if (inForce.dns === 'strict' && (dport === DNS_PORT || dport === DOT_PORT)) {
    // A rule that names the port would limit all others to it.
    if (dport === DOT_PORT) return `-cidr=${dst} -dns=open`;
    return `-resolver=${[...inForce.resolvers, dst].join(',')}`;
  }
  const limit = portsOfFlags(inForce.rules);
  const number = PROTOCOLS.get(proto);
  const isPortOpen = number === undefined || matchesPort(limit, number, dport ?? packet.icmpType ?? 0);
  const port = isPortOpen ? [] : [ICMP.includes(proto) ? '-port=icmp' : `-port=${dport}/${proto}`];
  if (reason === 'port' && port.length > 0) return port.join(' ');
  const name = names.find((each) => PLAIN_NAME.test(each));
  const address = parseAddress(dst, 0)?.addr16;
  const isByName = name !== undefined && address !== undefined && !isInward(address, []);
  return [isByName ? `-name=${name}` : `-cidr=${dst}`, ...port].join(' ');
}

/** Any rule that flags gave and that lets pass: they have their ports in common. */
export function ruleOfFlags(rules: readonly RuleInForce[]): RuleInForce | undefined {
  return rules.find((rule) => letsPass(rule) && rule.source.startsWith('-'));
}

/* -port limits every rule of the flags alike; rules of files have ports of their own. */
function portsOfFlags(rules: readonly RuleInForce[]): readonly PortRange[] {
  return ruleOfFlags(rules)?.ports ?? [];
}

function withoutRule(rule: string | undefined): string {
  return rule === undefined ? '' : `without ${rule}`;
}
