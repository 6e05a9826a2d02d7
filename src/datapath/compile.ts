import { UsageError } from '../errors.ts';
import { compileNames, type NumberedRule } from '../policy/compile-names.ts';
import { compilePrefixes } from '../policy/compile-prefixes.ts';
import type { Policy } from '../policy/policy.ts';
import type { PortRange } from '../policy/port.ts';
import { canonicalRule, portsInForce, type Rule, takesLeases } from '../policy/rule.ts';
import { isByAddress } from '../policy/who.ts';
import type { CompiledPolicy, CompiledRule, Shares } from './compiled-policy.ts';
import { LIMITS } from './layout.ts';
import { placeShares } from './lease-shares.ts';

/** tc mode has one subject: all that leaves by the enforced interfaces. */
export const HOST_POLICY = 1;

/** Lease records that an exact name gets; it may have that many addresses at a time. */
const EXACT_SHARE = 256;
const LEAST_SHARE = 64;

/** What rules had before: ids by canonical text, the first id that none has had, and shares by id. */
export interface RuleIds {
  readonly known: ReadonlyMap<string, number>;
  readonly next: number;
  readonly shares: Shares;
}

/**
 * Gives each rule its id: the one it had while it is unchanged, else one that no rule has had, so that
 * leases and flows of a withdrawn rule never serve another.
 */
export function numberRules(
  rules: readonly Rule[],
  ids: Pick<RuleIds, 'known' | 'next'>,
): { rules: NumberedRule[]; next: number } {
  let next = ids.next;
  const numbered = rules.map((rule) => ({ id: ids.known.get(canonicalRule(rule)) ?? next++, rule }));
  return { rules: numbered, next };
}

/** Compiles a policy to what a slot holds. Throws UsageError past a bound of the kernel's tables. */
export function compilePolicy(
  policy: Policy,
  ids: RuleIds,
  dnsPorts: readonly number[],
  inboundPorts?: readonly PortRange[],
): { compiled: CompiledPolicy; rules: readonly NumberedRule[] } {
  const { rules, next: nextRuleId } = numberRules(policy.rules, ids);
  if (rules.length > LIMITS.MAX_RULES) {
    throw new UsageError(`${rules.length} rules are too many: ${LIMITS.MAX_RULES} are legal`);
  }
  const compiled: CompiledPolicy = {
    policyId: HOST_POLICY,
    rules: shareLeases(policy, rules, ids.shares),
    sharesBefore: ids.shares,
    names: compileNames(rules),
    prefixes: compilePrefixes(rules),
    strictDns: policy.dns === 'strict',
    audit: policy.audit,
    denyNames: rules.some(({ rule }) => rule.action === 'deny' && !isByAddress(rule.who)),
    ...(inboundPorts && { inboundPorts }),
    dnsPorts,
    nextRuleId,
  };
  return { compiled, rules };
}

/*
 * Divides the lease records: a fixed share for each exact name, the rest equally among the rules that
 * stand for many names. A flood under one of them takes from its own share only.
 */
function shareLeases(policy: Policy, rules: readonly NumberedRule[], before: Shares): CompiledRule[] {
  const isExact = ({ rule }: NumberedRule) => rule.who.kind === 'exact';
  const exact = rules.filter((rule) => takesLeases(rule.rule) && isExact(rule)).length;
  const wide = rules.filter((rule) => takesLeases(rule.rule) && !isExact(rule)).length;
  const exactShare = Math.min(
    EXACT_SHARE,
    Math.floor(LIMITS.MAX_LEASE_RECORDS / (wide ? 2 : 1) / Math.max(1, exact)),
  );
  const wideShare = Math.floor((LIMITS.MAX_LEASE_RECORDS - exact * exactShare) / Math.max(1, wide));
  if ((exact && exactShare < LEAST_SHARE) || (wide && wideShare < LEAST_SHARE)) {
    throw new UsageError(
      `${exact + wide} name rules are too many: there is room for ${LIMITS.MAX_LEASE_RECORDS / LEAST_SHARE / 2} exact names and as many patterns or suffixes`,
    );
  }
  const lengths = rules.map((numbered) => ({
    id: numbered.id,
    ports: portsInForce(numbered.rule, policy.dns),
    privateAnswers: policy.allowPrivateAnswers,
    audit: numbered.rule.action === 'audit',
    ringLength: !takesLeases(numbered.rule) ? 0 : isExact(numbered) ? exactShare : wideShare,
  }));
  return placeShares(lengths, before);
}
