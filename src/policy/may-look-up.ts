import type { Policy } from './policy.ts';
import type { Rule } from './rule.ts';
import { holdsName, isByAddress, whoText } from './who.ts';

/**
 * Whether the addresses of a name may be asked for. A denied name never; under strict DNS only names that a rule lists,
 * and those above them.
 */
export function mayLookUp({ rules, dns }: Pick<Policy, 'rules' | 'dns'>, name: string): boolean {
  const speaking = rules.filter(({ who }) => !isByAddress(who));
  if (speaking.some(({ action, who }) => action === 'deny' && holdsName(who, name))) return false;
  return dns === 'open' || speaking.some((rule) => rule.action !== 'deny' && opensLookup(rule, name));
}

/* As compile-names: names above a listed one are asked for zone cuts, by A, too. */
function opensLookup({ who }: Rule, name: string): boolean {
  return holdsName(who, name) || whoText(who).endsWith(`.${name}`);
}
