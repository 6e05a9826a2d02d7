import { checkTarget } from '../enforcer/check.ts';
import { escapeControl } from '../flow/escape.ts';
import type { Target } from '../policy/target.ts';
import { mentionOthers } from './others.ts';

/** Says whether a connection would pass. Exit code 0 allowed, 1 not, 3 nothing in force. */
export async function runCheck(options: {
  readonly instance: string;
  readonly target: Target;
  readonly targetText: string;
}): Promise<number> {
  const answer = await checkTarget(options.instance, options.target);
  if (!answer) {
    process.stderr.write(
      `instance "${options.instance}": nothing is in force, so nothing would be refused${mentionOthers(options.instance)}\n`,
    );
    return 3;
  }
  process.stdout.write(
    `${answer.verdict} ${escapeControl(options.targetText)}: ${escapeControl(answer.because)}\n`,
  );
  return answer.verdict === 'allow' ? 0 : 1;
}
