import { alsoMatches } from './name.ts';
import type { Policy } from './policy.ts';
import type { PortRange } from './port.ts';
import type { Rule } from './rule.ts';
import { formatRate, type Shaping } from './shaping.ts';
import { whoText } from './who.ts';

/** The rules as understood, a line each; a bare suffix with an example of what it matches besides. */
export function describeRules(policy: Policy): string[] {
  return [
    ...policy.rules.map(describeRule),
    policy.dns === 'strict'
      ? 'lookups: only of listed names; ports 53 and 853 of other hosts need a rule that names them'
      : 'lookups: of any name',
  ];
}

/** A rule as understood: `allow names that end in ".a.test" on 443/tcp`. */
export function describeRule(rule: Rule): string {
  return `${rule.action} ${describeWho(rule)}${describePorts(rule.ports)}`;
}

/** What else was set, a sentence each; `status` shows them, too. */
export function describeSettings(policy: Policy): string[] {
  return [...describeCommonPorts(policy.rules), ...describeChoices(policy)];
}

/** Of that, what does not follow from the rules. */
export function describeChoices({ allowPrivateAnswers, inbound }: Policy): string[] {
  return [
    ...(allowPrivateAnswers ? ['answers may point to private and other inward addresses'] : []),
    ...describeInbound(inbound),
  ];
}

function describeCommonPorts(rules: readonly Rule[]): string[] {
  const allowed = rules.filter(({ action }) => action === 'allow');
  const ports = describePorts(allowed[0]?.ports ?? []);
  const isCommon = ports !== '' && allowed.every((each) => describePorts(each.ports) === ports);
  return isCommon ? [`rules allow only what goes${ports}`] : [];
}

function describeInbound(inbound: Policy['inbound']): string[] {
  if (inbound === 'all') return [];
  if (inbound.length === 0) return ['replies to calls from outside: none'];
  return [`replies to calls from outside: only${describePorts(inbound)}, and to pings`];
}

function describeWho(rule: Rule): string {
  const text = whoText(rule.who);
  switch (rule.who.kind) {
    case 'any':
      return 'every address';
    case 'prefix':
      return text.replaceAll('!', ' but not ');
    case 'exact':
      return `the name ${text}`;
    case 'pattern':
      return `names like ${text}`;
    case 'suffix': {
      if (rule.who.suffix === '') return 'every name';
      const example = alsoMatches(rule.who.suffix);
      return `names that end in "${text}"${example === undefined ? '' : `, which is also ${example}`}`;
    }
    default:
      return rule.who satisfies never;
  }
}

function describePorts(ports: readonly PortRange[]): string {
  if (ports.length === 0) return '';
  return ` on ${ports.map(describeRange).join(', ')}`;
}

function describeRange({ l4Proto, low, high }: PortRange): string {
  if (l4Proto === 0) return low === high ? `${low}` : `${low}-${high}`;
  const proto =
    { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp' }[l4Proto] ?? `protocol ${l4Proto}`;
  if (l4Proto === 1 || l4Proto === 58) {
    if (low === 0 && high === 255) return proto;
    return `${proto} type ${low === high ? low : `${low}-${high}`}`;
  }
  if (low === 0 && high === 65_535) return proto;
  return low === high ? `${low}/${proto}` : `${low}-${high}/${proto}`;
}

/** Rates as set: `sends at most 1mbit`. */
export function describeShaping({ rateBitsPerSecond, ceilBitsPerSecond }: Shaping): string {
  const rate = `sends at ${formatRate(rateBitsPerSecond)}`;
  return ceilBitsPerSecond === undefined
    ? `${rate} at most`
    : `${rate}, and up to ${formatRate(ceilBitsPerSecond)} of what others leave`;
}
