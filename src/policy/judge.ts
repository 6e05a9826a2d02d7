import { matchesName } from './name.ts';
import { matchesPort } from './port.ts';
import { contains } from './prefix.ts';
import { type Policy, portsInForce, type Rule } from './rule.ts';

/** A first packet. `port`: of the destination, for ICMP the type; `names`: those whose live leases hold `addr`. */
export interface Attempt {
  readonly addr: Uint8Array;
  readonly l4Proto: number;
  readonly port: number;
  readonly names: readonly string[];
}

/** What a policy says of an attempt, in the words of events; `rule` is the one that decided. */
export interface Judgement {
  readonly verdict: 'allow' | 'deny' | 'would_deny';
  readonly reason: 'rule-cidr' | 'rule-name' | 'deny-cidr' | 'port' | 'no-rule';
  readonly rule?: Rule;
}

/**
 * Judges by going through all rules: deny prefix, allow prefix, names, in the order of `rules` within
 * each. A denied name teaches nothing, and takes nothing from an address that another rule allows.
 */
export function judge(policy: Policy, attempt: Attempt): Judgement {
  const refused = policy.audit ? 'would_deny' : 'deny';
  const covering = policy.rules.filter((rule) => covers(rule, attempt, policy.rules));
  const open = covering.filter((rule) =>
    matchesPort(portsInForce(rule, policy.dns), attempt.l4Proto, attempt.port),
  );
  const denial = open.find((rule) => rule.action === 'deny');
  if (denial) return { verdict: refused, reason: 'deny-cidr', rule: denial };
  const byPrefix = open.find((rule) => rule.who.kind === 'prefix');
  if (byPrefix) return { verdict: 'allow', reason: 'rule-cidr', rule: byPrefix };
  const byName = open.at(0);
  if (byName) return { verdict: 'allow', reason: 'rule-name', rule: byName };
  const isListed = covering.some((rule) => rule.action === 'allow');
  return { verdict: refused, reason: isListed ? 'port' : 'no-rule' };
}

/** Whether a rule speaks of the address, ports aside. A deny rule for names speaks of none. */
function covers(rule: Rule, { addr, names }: Attempt, rules: readonly Rule[]): boolean {
  const { who } = rule;
  if (who.kind === 'prefix') return contains(who.prefix, addr);
  return rule.action === 'allow' && names.some((name) => matchesName(who, name) && !isDenied(name, rules));
}

function isDenied(name: string, rules: readonly Rule[]): boolean {
  return rules.some(
    ({ who, action }) => action === 'deny' && who.kind !== 'prefix' && matchesName(who, name),
  );
}
