import { cleanInstance, stopInstance } from '../enforcer/end.ts';
import { escapeControl } from '../flow/escape.ts';
import { mentionOthers } from './others.ts';

/** Ends an instance, or cleans what is left of it, and says what was done. Exit code 0. */
export async function runEnd(options: {
  readonly command: 'stop' | 'clean';
  readonly instance: string;
}): Promise<number> {
  const end = options.command === 'stop' ? stopInstance : cleanInstance;
  const { pid, removed } = await end(options.instance);
  const done = [
    ...(pid === undefined ? [] : [`process ${pid} ended`]),
    ...(removed.hooks > 0 ? [`${removed.hooks} hooks taken out`] : []),
    ...(removed.cgroups > 0 ? [`${removed.cgroups} cgroups released`] : []),
    ...(removed.pins ? ['pins removed'] : []),
  ];
  const what = done.join(', ') || `nothing was there${mentionOthers(options.instance)}`;
  process.stdout.write(
    `${escapeControl(`instance "${options.instance}": ${what}; nothing of it is in force`)}\n`,
  );
  return 0;
}
