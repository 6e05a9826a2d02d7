import { checkTarget } from '../enforcer/check.ts';
import { type LoadedPolicies, PolicyReader } from '../enforcer/policy-source.ts';
import { tryCompile } from '../enforcer/try-compile.ts';
import { NothingAppliesError, UsageError } from '../errors.ts';
import { escapeControl } from '../flow/escape.ts';
import { type Decision, decide } from '../policy/decide.ts';
import { type Subject, subjectText } from '../policy/subject.ts';
import type { Target } from '../policy/target.ts';
import { anyOf } from '../wording.ts';
import type { CheckOptions } from './options.ts';
import { mentionOthers } from './others.ts';
import { showProgress } from './progress.ts';
import { RemarkWriter } from './remarks.ts';

/**
 * Says whether a connection would pass, by what is in force or by files alone, or whether files are valid. Exit code
 * 0 allowed or valid, 1 not allowed, 3 nothing in force. Throws UsageError.
 */
export async function runCheck(options: CheckOptions): Promise<number> {
  const { target, source } = options;
  if (source.files.length > 0 || source.presets.length > 0) return await checkFiles(options, target);
  if (!target) throw new UsageError('check needs a target');
  const answer = await checkTarget(options.instance, target, options.subject);
  if (!answer) {
    new RemarkWriter().remark(
      `instance "${options.instance}": nothing is in force, so nothing would be refused${mentionOthers(options.instance)}`,
      'notice',
    );
    return 3;
  }
  return tell(options, answer);
}

/* Without root and without asking anybody: what the files say, where `enforce` would take them. */
async function checkFiles(options: CheckOptions, target: Target | undefined): Promise<number> {
  const loaded = await load(options, target);
  if (!loaded) return 0;
  const { policies, unrestricted, remarks } = loaded;
  tryCompile(policies);
  const { remark } = new RemarkWriter();
  for (const text of remarks) remark(text, 'warning');
  if (!target) {
    if (options.subject) choose(policies, options.subject);
    const subjects = policies.map(
      ({ subject, policy }) => `${subjectText(subject)}: ${counted(policy.rules.length)}, dns ${policy.dns}`,
    );
    const open = unrestricted.map((subject) => `${subjectText(subject)}: egress is not restricted`);
    tellValid([...subjects, ...open]);
    return 0;
  }
  const all = [
    ...policies.map(({ subject, policy }) => ({ subject, policy })),
    ...unrestricted.map((subject) => ({ subject, policy: undefined })),
  ];
  const { subject, policy } = choose(all, options.subject);
  if (policy) return tell(options, decide(policy, target));
  const because = `no policy restricts the egress of ${subjectText(subject)}`;
  return tell(options, { verdict: 'allow', because, considered: [] });
}

/* Files whose policies are all for others are valid, though nothing can be asked of them. */
async function load(
  { source }: CheckOptions,
  target: Target | undefined,
): Promise<LoadedPolicies | undefined> {
  try {
    return await new PolicyReader(source).load(showProgress());
  } catch (thrown) {
    if (target || !(thrown instanceof NothingAppliesError)) throw thrown;
    tellValid(thrown.lines);
    return undefined;
  }
}

function tellValid(lines: readonly string[]): void {
  process.stdout.write(`valid\n${lines.map((line) => `  ${escapeControl(line)}\n`).join('')}`);
}

function counted(rules: number): string {
  return rules === 1 ? '1 rule' : `${rules} rules`;
}

/** The one that is asked for; else the host's, or the only one. Throws UsageError. */
function choose<Each extends { readonly subject: Subject }>(
  all: readonly Each[],
  asked: Subject | undefined,
): Each {
  const names = all.map(({ subject }) => subjectText(subject));
  const wanted = asked ? subjectText(asked) : all.length === 1 ? names[0] : 'host';
  const found = all.find(({ subject }) => subjectText(subject) === wanted);
  if (found) return found;
  throw new UsageError(
    asked
      ? `-subject "${wanted}" has no policy: ${anyOf(names)} is legal`
      : `there are policies of several subjects: say which with -subject, ${anyOf(names)} is legal`,
  );
}

function tell(
  { command, targetText = '' }: CheckOptions,
  { verdict, because, considered }: Decision,
): number {
  const lines = [`${verdict} ${targetText}: ${because}`];
  if (command === 'explain')
    lines.push(...(considered.length > 0 ? considered : ['no rule speaks of it']).map((line) => `  ${line}`));
  process.stdout.write(lines.map((line) => `${escapeControl(line)}\n`).join(''));
  return verdict === 'allow' ? 0 : 1;
}
