import { describeRule, describeSettings, describeShaping } from './describe.ts';
import type { SubjectPolicy } from './policy.ts';
import { canonicalRule, type Rule } from './rule.ts';
import { subjectText } from './subject.ts';

/** Rules compared before others get a turn. */
const TURN = 4_000;

/**
 * What changes from one set of policies to another, a line each: `+` comes, `-` goes. Empty when nothing does. Lines
 * of subjects other than the host begin with whom they are for. `giveTurn` is awaited now and then.
 */
export async function diffPolicies(
  before: readonly SubjectPolicy[],
  after: readonly SubjectPolicy[],
  giveTurn: () => Promise<void>,
): Promise<string[]> {
  const old = bySubject(before);
  const fresh = bySubject(after);
  const changes: string[][] = [];
  for (const subject of new Set([...old.keys(), ...fresh.keys()])) {
    const where = subject === 'host' ? '' : `${subject}: `;
    const [was, is] = [old.get(subject), fresh.get(subject)];
    const settings = { was: settingsOf(was), is: settingsOf(is) };
    const rules = { was: await rulesOf(was, giveTurn), is: await rulesOf(is, giveTurn) };
    changes.push(
      only(settings.was, settings.is).map((text) => `- ${where}${text}`),
      missing(rules.was, rules.is).map((text) => `- ${where}${text}`),
      only(settings.is, settings.was).map((text) => `+ ${where}${text}`),
      missing(rules.is, rules.was).map((text) => `+ ${where}${text}`),
    );
  }
  return changes.flat();
}

function bySubject(policies: readonly SubjectPolicy[]): Map<string, SubjectPolicy> {
  return new Map(policies.map((each) => [subjectText(each.subject), each]));
}

function settingsOf(each: SubjectPolicy | undefined): string[] {
  if (!each) return [];
  const { policy, shaping } = each;
  return [
    `dns ${policy.dns}`,
    ...(policy.audit ? ['audit: nothing is dropped'] : []),
    ...describeSettings(policy),
    ...(shaping ? [describeShaping(shaping)] : []),
  ];
}

/* By what has to be the same for a rule not to change: also by its name, for that is what events say. */
async function rulesOf(
  each: SubjectPolicy | undefined,
  giveTurn: () => Promise<void>,
): Promise<Map<string, Rule>> {
  const rules = new Map<string, Rule>();
  for (const rule of each?.policy.rules ?? []) {
    rules.set(`${canonicalRule(rule)} ${rule.source}`, rule);
    if (rules.size % TURN === 0) await giveTurn();
  }
  return rules;
}

function only(these: readonly string[], not: readonly string[]): string[] {
  return these.filter((text) => !not.includes(text));
}

function missing(from: ReadonlyMap<string, Rule>, there: ReadonlyMap<string, Rule>): string[] {
  return [...from]
    .filter(([key]) => !there.has(key))
    .map(([, rule]) => `${describeRule(rule)} (${rule.source})`);
}
