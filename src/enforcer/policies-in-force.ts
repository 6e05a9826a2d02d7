import type { SubjectRule } from '../datapath/compile.ts';
import type { Share, Shares } from '../datapath/compiled-policy.ts';
import { describeSettings, describeShaping } from '../policy/describe.ts';
import { subjectText } from '../policy/subject.ts';
import type { InstanceRecord, RecordedCgroup } from './run-dir.ts';
import type { NumberedSubject, PlacedSubject } from './subjects.ts';

/** The policies that are in force, with all numbers by which the kernel knows them. */
export interface PoliciesInForce {
  readonly subjects: readonly NumberedSubject[];
  readonly nextPolicyId: number;
  readonly placed: readonly PlacedSubject[];
  readonly rules: readonly SubjectRule[];
  readonly shares: Shares;
}

/** What is in force, in a sentence. */
export function describeInForce({ subjects, rules }: PoliciesInForce): string {
  const whom = subjects.map(({ subject, names }) => `${subjectText(subject)} (${names.join(', ')})`);
  return `${rules.length} ${rules.length === 1 ? 'rule' : 'rules'} for ${whom.join(', ')}`;
}

/** The part of an instance's record that is about policies. */
export function recordPolicies(
  policies: PoliciesInForce,
): Pick<InstanceRecord, 'policies' | 'nextPolicyId' | 'cgroups' | 'rules'> {
  const { subjects, nextPolicyId, placed, rules, shares } = policies;
  return {
    policies: subjects.map(({ policyId, subject, policy, names, files, shaping }) => ({
      policyId,
      subject: subjectText(subject),
      names,
      ...(files && { files }),
      dns: policy.dns,
      audit: policy.audit,
      allowPrivateAnswers: policy.allowPrivateAnswers,
      settings: [...describeSettings(policy), ...(shaping ? [describeShaping(shaping)] : [])],
    })),
    nextPolicyId,
    cgroups: placed.map(recordCgroup),
    rules: rules.map(({ id, policyId, canonical, rule: { source, policy } }) => {
      const share: Share | undefined = shares.get(id);
      const recorded = { id, policyId, canonical, source };
      if (policy === undefined) return share ? { ...recorded, share } : recorded;
      return share ? { ...recorded, policy, share } : { ...recorded, policy };
    }),
  };
}

function recordCgroup(placed: PlacedSubject): RecordedCgroup {
  const { policyId, path, id, netnsCookie, netnsInode, ownsNetns } = placed;
  return { policyId, path, id: `${id}`, netnsCookie: `${netnsCookie}`, netnsInode, ownsNetns };
}
