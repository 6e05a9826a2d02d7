import { requestReload } from '../enforcer/request-reload.ts';
import { escapeControl } from '../flow/escape.ts';
import { mentionOthers } from './others.ts';
import { RemarkWriter } from './remarks.ts';

/** Has the enforcer read its policy again, and says what changed. Exit code 0 done, 2 the policy is bad, 3 not running. */
export async function runReload({ instance }: { readonly instance: string }): Promise<number> {
  const answer = await requestReload(instance);
  if (!answer) {
    new RemarkWriter().remark(
      `instance "${instance}": no process to reload${mentionOthers(instance)}; what is in force stays`,
      'warning',
    );
    return 3;
  }
  const text = answer.lines.map((line) => `${escapeControl(line)}\n`).join('');
  (answer.ok ? process.stdout : process.stderr).write(text);
  return answer.ok ? 0 : 2;
}
