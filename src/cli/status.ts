import { askProcess } from '../enforcer/ask-process.ts';
import { readStatus } from '../enforcer/status.ts';
import { encodeJsonLines } from '../flow/escape.ts';
import { mentionOthers } from './others.ts';
import { renderStatus } from './render-status.ts';

/** Prints what is in force. Exit code 0 enforcing, 3 not. */
export async function runStatus(options: {
  readonly instance: string;
  readonly json: boolean;
}): Promise<number> {
  const status = readStatus(options.instance, await askProcess(options.instance));
  process.stdout.write(
    options.json ? `${encodeJsonLines(status)}\n` : renderStatus(status, mentionOthers(options.instance)),
  );
  return status.enforcing ? 0 : 3;
}
