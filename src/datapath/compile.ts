import { UsageError } from '../errors.ts';
import { compileNames, type NumberedRule } from '../policy/compile-names.ts';
import { compilePrefixes } from '../policy/compile-prefixes.ts';
import type { Policy } from '../policy/policy.ts';
import { canonicalRule, portsInForce, takesLeases } from '../policy/rule.ts';
import { isByAddress } from '../policy/who.ts';
import type { CompiledPolicy, CompiledRule, CompiledSubject, Shares } from './compiled-policy.ts';
import { LIMITS } from './layout.ts';
import { placeShares } from './lease-shares.ts';

/** The policy of all that leaves by the enforced interfaces. */
export const HOST_POLICY = LIMITS.HOST_POLICY;

/** Lease records that an exact name gets where there is room; it may have that many addresses at a time. */
const EXACT_SHARE = 256;
/** What each rule gets where only as many as this are. */
const FULL_SHARE = 64;
/** The least that a rule is of use with. */
const LEAST_SHARE = 8;

/** A policy with the number by which the kernel knows its subject. */
export interface NumberedPolicy {
  readonly policyId: number;
  readonly policy: Policy;
}

/** A rule of a subject. */
export interface SubjectRule extends NumberedRule {
  readonly policyId: number;
  /** `canonicalRule` of it. */
  readonly canonical: string;
}

/** What rules had before: ids by `ruleKey`, the first id that none has had, and shares by id. */
export interface RuleIds {
  readonly known: ReadonlyMap<string, number>;
  readonly next: number;
  readonly shares: Shares;
}

/** What a rule keeps its id by: it is the same rule while it says the same to the same subject. */
export function ruleKey(policyId: number, canonical: string): string {
  return `${policyId} ${canonical}`;
}

/**
 * Gives each rule its id: the one it had while it is unchanged, else one that no rule has had, so that
 * leases and flows of a withdrawn rule never serve another.
 */
export function numberRules(
  policies: readonly NumberedPolicy[],
  ids: Pick<RuleIds, 'known' | 'next'>,
): { rules: SubjectRule[]; next: number } {
  let next = ids.next;
  const rules = policies.flatMap(({ policyId, policy }) =>
    policy.rules.map((rule) => {
      const canonical = canonicalRule(rule);
      const id = ids.known.get(ruleKey(policyId, canonical)) ?? next++;
      return { id, rule, policyId, canonical };
    }),
  );
  return { rules, next };
}

/** Compiles the policies of all subjects to what a slot holds. Throws UsageError past a bound of the kernel's tables. */
export function compilePolicies(
  policies: readonly NumberedPolicy[],
  ids: RuleIds,
  dnsPorts: readonly number[],
): { compiled: CompiledPolicy; rules: readonly SubjectRule[] } {
  const { rules, next: nextRuleId } = numberRules(policies, ids);
  if (rules.length > LIMITS.MAX_RULES) {
    throw new UsageError(`${rules.length} rules are too many: ${LIMITS.MAX_RULES} are legal`);
  }
  const byPolicy = new Map<number, SubjectRule[]>(policies.map(({ policyId }) => [policyId, []]));
  for (const rule of rules) byPolicy.get(rule.policyId)?.push(rule);
  const compiled: CompiledPolicy = {
    subjects: policies.map((each) => compileSubject(each, byPolicy.get(each.policyId) ?? [])),
    rules: shareLeases(policies, rules, ids.shares),
    sharesBefore: ids.shares,
    dnsPorts,
    nextRuleId,
  };
  return { compiled, rules };
}

function compileSubject(
  { policyId, policy }: NumberedPolicy,
  rules: readonly NumberedRule[],
): CompiledSubject {
  return {
    policyId,
    names: compileNames(rules),
    prefixes: compilePrefixes(rules),
    strictDns: policy.dns === 'strict',
    audit: policy.audit,
    denyNames: rules.some(({ rule }) => rule.action === 'deny' && !isByAddress(rule.who)),
    inbound: policy.inbound,
  };
}

/*
 * Divides the lease records: a fixed share for each exact name, the rest equally among the rules that
 * stand for many names. A flood under one of them takes from its own share only. Of so many rules that not every
 * one could have FULL_SHARE, all have the same.
 */
function shareLeases(
  policies: readonly NumberedPolicy[],
  rules: readonly SubjectRule[],
  before: Shares,
): CompiledRule[] {
  const policyOf = new Map(policies.map(({ policyId, policy }) => [policyId, policy]));
  const isExact = ({ rule }: NumberedRule) => rule.who.kind === 'exact';
  const leasing = rules.filter(({ rule }) => takesLeases(rule));
  const exact = leasing.filter(isExact).length;
  const { exactShare, wideShare } = divide(exact, leasing.length - exact);
  const lengths = rules.map((numbered) => {
    const policy = policyOf.get(numbered.policyId);
    return {
      id: numbered.id,
      ports: portsInForce(numbered.rule, policy?.dns ?? 'open'),
      privateAnswers: policy?.allowPrivateAnswers ?? false,
      audit: numbered.rule.action === 'audit',
      ringLength: !takesLeases(numbered.rule) ? 0 : isExact(numbered) ? exactShare : wideShare,
    };
  });
  return placeShares(lengths, before);
}

function divide(exact: number, wide: number): { exactShare: number; wideShare: number } {
  const total = LIMITS.MAX_LEASE_RECORDS;
  const exactShare = Math.min(EXACT_SHARE, Math.floor(total / (wide ? 2 : 1) / Math.max(1, exact)));
  const wideShare = Math.floor((total - exact * exactShare) / Math.max(1, wide));
  if ((!exact || exactShare >= FULL_SHARE) && (!wide || wideShare >= FULL_SHARE)) {
    return { exactShare, wideShare };
  }
  const share = Math.floor(total / (exact + wide));
  if (share >= LEAST_SHARE) return { exactShare: share, wideShare: share };
  throw new UsageError(
    `${exact + wide} name rules are too many: ${total / LEAST_SHARE} are legal, each of them with room for ${LEAST_SHARE} addresses`,
  );
}
