import { askProcess } from '../enforcer/ask-process.ts';
import { readStatus, type Status } from '../enforcer/status.ts';
import { encodeJsonLine, encodeJsonLines } from '../flow/escape.ts';
import { mentionOthers } from './others.ts';
import { renderStatus } from './render-status.ts';

/** Rules and addresses of a JSON that is indented. */
const MAX_INDENTED = 10_000;

/** Prints what is in force. Exit code 0 enforcing, 3 not. */
export async function runStatus(options: {
  readonly instance: string;
  readonly json: boolean;
}): Promise<number> {
  const status = readStatus(options.instance, await askProcess(options.instance));
  process.stdout.write(
    options.json
      ? `${isLong(status) ? encodeJsonLine(status) : encodeJsonLines(status)}\n`
      : renderStatus(status, mentionOthers(options.instance)),
  );
  return status.enforcing ? 0 : 3;
}

/* Nobody reads so much with his eyes, and it is half as long on one line. */
function isLong({ rules, learned }: Status): boolean {
  return rules.length + learned.length > MAX_INDENTED;
}
