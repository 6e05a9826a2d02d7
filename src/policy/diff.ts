import { describeRule, describeSettings, describeShaping } from './describe.ts';
import type { SubjectPolicy } from './policy.ts';
import { canonicalRule } from './rule.ts';
import { subjectText } from './subject.ts';

/**
 * What changes from one set of policies to another, a line each: `+` comes, `-` goes. Empty when nothing does. Lines
 * of subjects other than the host begin with whom they are for.
 */
export function diffPolicies(before: readonly SubjectPolicy[], after: readonly SubjectPolicy[]): string[] {
  const old = bySubject(before);
  const fresh = bySubject(after);
  const subjects = [...new Set([...old.keys(), ...fresh.keys()])];
  return subjects.flatMap((subject) => {
    const where = subject === 'host' ? '' : `${subject}: `;
    const was = linesOf(old.get(subject));
    const is = linesOf(fresh.get(subject));
    return [
      ...[...was].filter(([key]) => !is.has(key)).map(([, line]) => `- ${where}${line}`),
      ...[...is].filter(([key]) => !was.has(key)).map(([, line]) => `+ ${where}${line}`),
    ];
  });
}

function bySubject(policies: readonly SubjectPolicy[]): Map<string, SubjectPolicy> {
  return new Map(policies.map((each) => [subjectText(each.subject), each]));
}

/* By what has to be the same for a line not to change: of a rule also its name, for that is what events say. */
function linesOf(each: SubjectPolicy | undefined): Map<string, string> {
  if (!each) return new Map();
  const { policy, shaping } = each;
  const settings = [
    `dns ${policy.dns}`,
    ...(policy.audit ? ['audit: nothing is dropped'] : []),
    ...describeSettings(policy),
    ...(shaping ? [`${describeShaping(shaping)}`] : []),
  ];
  return new Map([
    ...settings.map((text): [string, string] => [text, text]),
    ...policy.rules.map((rule): [string, string] => [
      `${canonicalRule(rule)} ${rule.source}`,
      `${describeRule(rule)} (${rule.source})`,
    ]),
  ]);
}
