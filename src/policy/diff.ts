import { describeChoices, describeRule, describeShaping } from './describe.ts';
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
    const [gone, come] = await changedRules(was?.policy.rules ?? [], is?.policy.rules ?? [], giveTurn);
    changes.push(
      settings.was.filter((text) => !settings.is.includes(text)).map((text) => `- ${where}${text}`),
      gone.map((text) => `- ${where}${text}`),
      settings.is.filter((text) => !settings.was.includes(text)).map((text) => `+ ${where}${text}`),
      come.map((text) => `+ ${where}${text}`),
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
    ...describeChoices(policy),
    ...(shaping ? [describeShaping(shaping)] : []),
  ];
}

/*
 * What stands at the same place, counted from the beginning or from the end, is not looked at again: most edits leave
 * most rules where they are, and there may be a hundred thousand.
 */
async function changedRules(
  before: readonly Rule[],
  after: readonly Rule[],
  giveTurn: () => Promise<void>,
): Promise<[gone: string[], come: string[]]> {
  const was = new Map<string, Rule>();
  const is = new Map<string, Rule>();
  const shift = after.length - before.length;
  for (let at = 0; at < Math.max(before.length, after.length); at++) {
    const [old, fresh] = [before[at], after[at]];
    if (old && !isSame(old, fresh) && !isSame(old, after[at + shift])) was.set(keyOf(old), old);
    if (fresh && !isSame(fresh, old) && !isSame(fresh, before[at - shift])) is.set(keyOf(fresh), fresh);
    if (at % TURN === 0) await giveTurn();
  }
  return [await only(was, is, giveTurn), await only(is, was, giveTurn)];
}

async function only(
  these: ReadonlyMap<string, Rule>,
  not: ReadonlyMap<string, Rule>,
  giveTurn: () => Promise<void>,
): Promise<string[]> {
  const lines: string[] = [];
  let seen = 0;
  for (const [key, rule] of these) {
    if (!not.has(key)) lines.push(`${describeRule(rule)} (${rule.source})`);
    if (++seen % TURN === 0) await giveTurn();
  }
  return lines;
}

/* By what has to be the same for a rule not to change: also by its name, for that is what events say. */
function isSame(rule: Rule, other: Rule | undefined): boolean {
  return other?.source === rule.source && canonicalRule(rule) === canonicalRule(other);
}

function keyOf(rule: Rule): string {
  return `${canonicalRule(rule)} ${rule.source}`;
}
