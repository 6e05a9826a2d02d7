import type { Policy } from './policy.ts';
import { matchesPort } from './port.ts';
import { letsPass, portsInForce, type Rule } from './rule.ts';
import { holdsAddress, holdsName, isByAddress } from './who.ts';

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
  readonly reason: 'rule-cidr' | 'rule-name' | 'deny-cidr' | 'audit' | 'port' | 'no-rule';
  readonly rule?: Rule;
}

/**
 * Judges by going through all rules: deny by address, allow by address, allow by name, audit; in the order of `rules`
 * within each. A denied name teaches nothing, and takes nothing from an address that another rule allows.
 */
export function judge(policy: Policy, attempt: Attempt): Judgement {
  const refused = policy.audit ? 'would_deny' : 'deny';
  const covering = policy.rules.filter((rule) => covers(rule, attempt, policy.rules));
  const open = covering.filter((rule) =>
    matchesPort(portsInForce(rule, policy.dns), attempt.l4Proto, attempt.port),
  );
  const denial = open.find(({ action }) => action === 'deny');
  if (denial) return { verdict: refused, reason: 'deny-cidr', rule: denial };
  const allowing = open.filter(({ action }) => action === 'allow');
  const byAddress = allowing.find(({ who }) => isByAddress(who));
  if (byAddress) return { verdict: 'allow', reason: 'rule-cidr', rule: byAddress };
  const [byName] = allowing;
  if (byName) return { verdict: 'allow', reason: 'rule-name', rule: byName };
  const audited = open.find(({ action }) => action === 'audit');
  if (audited) return { verdict: 'would_deny', reason: 'audit', rule: audited };
  return { verdict: refused, reason: covering.some(letsPass) ? 'port' : 'no-rule' };
}

/** Whether a rule speaks of the address, ports aside. A deny rule for names speaks of none. */
function covers(rule: Rule, { addr, names }: Attempt, rules: readonly Rule[]): boolean {
  if (isByAddress(rule.who)) return holdsAddress(rule.who, addr);
  return letsPass(rule) && names.some((name) => holdsName(rule.who, name) && !isDenied(name, rules));
}

function isDenied(name: string, rules: readonly Rule[]): boolean {
  return rules.some(({ who, action }) => action === 'deny' && holdsName(who, name));
}
