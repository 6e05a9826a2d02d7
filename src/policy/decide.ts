import { describeRule } from './describe.ts';
import { mayLookUp } from './may-look-up.ts';
import { hasPort, openRules } from './open-rules.ts';
import type { Policy } from './policy.ts';
import { formatAddress } from './prefix.ts';
import { letsPass, type Rule } from './rule.ts';
import { portText, type Target } from './target.ts';
import { holdsAddress, holdsName, isByAddress } from './who.ts';

/** What a policy says of a target: the verdict, why, and what each rule that speaks of it says. */
export interface Decision {
  readonly verdict: 'allow' | 'deny';
  /** One sentence, which begins with the rule that decides where one does. */
  readonly because: string;
  /** A line each, in the order in which they count. */
  readonly considered: readonly string[];
}

/** An answer as it is where -audit lets pass, and reports, what would be refused. */
export function underAudit<Answer extends Omit<Decision, 'considered'>>(
  audit: boolean,
  answer: Answer,
): Answer {
  if (!audit || answer.verdict === 'allow') return answer;
  return { ...answer, verdict: 'allow', because: `audit lets all pass; else: ${answer.because}` };
}

/**
 * Decides by the policy alone: nothing is resolved, so a name is judged by the rules that speak of names, and by
 * those for every address. Without a port any port is asked for: one that passes is enough.
 */
export function decide(policy: Policy, target: Target): Decision {
  const speaking = policy.rules.filter((rule) => speaksOf(rule, target));
  const considered = rank(speaking).map((rule) => {
    const says = hasPort(rule, policy.dns, target) ? 'applies' : `not ${portText(target)}`;
    return `${describeRule(rule)} (${rule.source}): ${says}`;
  });
  const open = openRules(speaking, policy.dns, target);
  const answer = (verdict: Decision['verdict'], because: string): Decision =>
    underAudit(policy.audit, { verdict, because, considered });
  const denial = [...open, ...speaking.filter(({ who }) => !isByAddress(who))].find(
    ({ action }) => action === 'deny',
  );
  if (denial) return answer('deny', `${denial.source} denies ${hostText(target)}`);
  if (isLookupRefused(policy, target)) return answer('deny', noRule(policy, target));
  const allowing = rank(open).find(({ action }) => action === 'allow');
  if (allowing) return answer('allow', `${allowing.source}: ${describeRule(allowing)}`);
  const audited = open.find(({ action }) => action === 'audit');
  if (audited) return answer('allow', `${audited.source}: ${describeRule(audited)}, which is reported`);
  const listing = speaking.find(letsPass);
  if (listing)
    return answer('deny', `${listing.source} lists ${hostText(target)}, but not ${portText(target)}`);
  return answer('deny', noRule(policy, target));
}

function isLookupRefused(policy: Policy, { host }: Target): boolean {
  return host.kind === 'name' && !mayLookUp(policy, host.name);
}

function noRule(policy: Policy, target: Target): string {
  if (target.host.kind === 'address') return `no rule holds ${hostText(target)}`;
  if (isLookupRefused(policy, target))
    return `no rule lists ${hostText(target)}, and with dns strict its lookup is refused`;
  const byAddress = policy.rules.some((rule) => letsPass(rule) && isByAddress(rule.who));
  const hint = byAddress
    ? '; a rule for addresses may hold where it leads to, which is not looked up here'
    : '';
  return `no rule lists ${hostText(target)}${hint}`;
}

/* Of a name also the rules for every address: wherever it leads, they hold it. */
function speaksOf({ who, action }: Rule, { host }: Target): boolean {
  if (action === 'lookup') return false;
  if (host.kind === 'address') return holdsAddress(who, host.addr16);
  return who.kind === 'any' || holdsName(who, host.name);
}

/* Deny, then what allows by address, then by name, then audit. */
function rank(rules: readonly Rule[]): Rule[] {
  const place = ({ action, who }: Rule) =>
    action === 'deny' ? 0 : action === 'audit' ? 3 : isByAddress(who) ? 1 : 2;
  return [...rules].sort((a, b) => place(a) - place(b));
}

function hostText({ host }: Target): string {
  return host.kind === 'address' ? formatAddress(host.addr16) : host.name;
}
