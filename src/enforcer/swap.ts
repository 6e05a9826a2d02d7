import { compilePolicies, type RuleIds, ruleKey, type SubjectRule } from '../datapath/compile.ts';
import type { Share, Shares } from '../datapath/compiled-policy.ts';
import { fillSlot } from '../datapath/fill-slot.ts';
import { setTrusted, type Trusted } from '../datapath/host-facts.ts';
import { settleRecords, sharesOf } from '../datapath/lease-shares.ts';
import {
  activeEpoch,
  dropRuleStates,
  freeIdleSlot,
  idleSlot,
  nextEpoch,
  switchSlot,
} from '../datapath/policy-slot.ts';
import { nextRuleId } from '../datapath/state.ts';
import { describeSettings, describeShaping } from '../policy/describe.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { canonicalRule } from '../policy/rule.ts';
import { subjectText } from '../policy/subject.ts';
import { endFlows } from './end-flows.ts';
import type { HookContext } from './hooks.ts';
import type { InstanceRecord, RecordedCgroup } from './run-dir.ts';
import type { Shaper } from './shaper.ts';
import { attachSubjects, type NumberedSubject, numberSubjects, type PlacedSubject } from './subjects.ts';

/** The policies that are in force, with all numbers by which the kernel knows them. */
export interface PoliciesInForce {
  readonly subjects: readonly NumberedSubject[];
  readonly nextPolicyId: number;
  readonly placed: readonly PlacedSubject[];
  readonly rules: readonly SubjectRule[];
  readonly shares: Shares;
}

/** What a swap needs of the rest of the enforcer. */
export interface Surroundings {
  readonly shaper: Shaper;
  /** Interfaces on which rates are kept. */
  readonly ifindexes: readonly number[];
  readonly dnsPorts: readonly number[];
  /** The cgroups of these subjects. Throws UsageError. */
  place(numbered: readonly NumberedSubject[]): PlacedSubject[];
  /** The resolvers that these policies trust. */
  trusted(policyIds: readonly number[]): Trusted;
}

/** The part of an instance's record that is about policies. */
export function recordPolicies(
  policies: PoliciesInForce,
): Pick<InstanceRecord, 'policies' | 'nextPolicyId' | 'cgroups' | 'rules'> {
  const { subjects, nextPolicyId, placed, rules, shares } = policies;
  return {
    policies: subjects.map(({ policyId, subject, policy, shaping }) => ({
      policyId,
      subject: subjectText(subject),
      dns: policy.dns,
      audit: policy.audit,
      settings: [...describeSettings(policy), ...(shaping ? [describeShaping(shaping)] : [])],
    })),
    nextPolicyId,
    cgroups: placed.map(recordCgroup),
    rules: rules.map(({ id, policyId, rule }) => {
      const share: Share | undefined = shares.get(id);
      return { id, policyId, canonical: canonicalRule(rule), source: rule.source, ...(share && { share }) };
    }),
  };
}

function recordCgroup({ policyId, path, id, netnsCookie, ownsNetns }: PlacedSubject): RecordedCgroup {
  return { policyId, path, id: `${id}`, netnsCookie: `${netnsCookie}`, ownsNetns };
}

/**
 * Puts other policies in force in one step; what was in force stays until then, and stays when it throws: UsageError
 * past a bound or for a subject that is not there, SystemError. Rules that stay keep ids, leases and flows; flows of
 * those that go are ended.
 */
export async function swapPolicies(
  { state, pins, run }: HookContext,
  before: PoliciesInForce,
  policies: readonly SubjectPolicy[],
  surroundings: Surroundings,
): Promise<PoliciesInForce> {
  const { shaper, ifindexes, dnsPorts } = surroundings;
  const known = before.subjects.map(({ subject, policyId }) => ({ subject: subjectText(subject), policyId }));
  const { numbered, nextPolicyId } = numberSubjects(policies, known, before.nextPolicyId);
  const placed = surroundings.place(numbered);
  const ids: RuleIds = {
    known: new Map(
      before.rules.map(({ id, policyId, rule }) => [ruleKey(policyId, canonicalRule(rule)), id]),
    ),
    next: nextRuleId(state),
    shares: before.shares,
  };
  const { compiled, rules } = compilePolicies(numbered, ids, dnsPorts);
  const after = { subjects: numbered, nextPolicyId, placed, rules, shares: sharesOf(compiled.rules) };
  const record = run.readRecord(activeEpoch(state));
  if (!record) throw new RangeError('the record of what is in force is gone');
  await fillSlot(state, idleSlot(state), compiled);
  shaper.apply(numbered, ifindexes);
  const next = { ...record, epoch: nextEpoch(state), ...recordPolicies(after), classes: shaper.classes };
  run.prepareRecord(next);
  // Those of subjects that go are trusted until they are gone.
  const policyIds = numbered.map(({ policyId }) => policyId);
  setTrusted(state, surroundings.trusted([...policyIds, ...known.map(({ policyId }) => policyId)]));
  await switchSlot(state, compiled);
  run.commitRecord();
  attachSubjects(state, pins, placed, (policyId) => shaper.priorityOf(policyId));
  setTrusted(state, surroundings.trusted(policyIds));
  const inForce = new Set(rules.map(({ id }) => id));
  endFlows(
    state,
    before.rules.map(({ id }) => id).filter((id) => !inForce.has(id)),
  );
  await freeIdleSlot(state);
  settleRecords(state, after.shares);
  dropRuleStates(state, inForce);
  return after;
}
