import { askControl } from '../control/client.ts';
import { controlPath } from '../enforcer/control-path.ts';
import type { ObserveRequest } from '../enforcer/observing.ts';
import { UsageError } from '../errors.ts';
import type { FilterTexts } from '../flow/filter.ts';
import { parseJson } from '../flow/parse-json.ts';
import { mentionOthers } from './others.ts';
import { terminalColours } from './terminal-colours.ts';
import { WatchSession } from './watch-session.ts';

const NOT_ENFORCING = 3;
/** Of past events, for the table to begin with. */
const PAST = 1_000;

/**
 * Shows a running enforcer in the terminal until `q`, a signal, or its end. Exit code 0, 3 when no process runs or it
 * has ended, 128 + n for signal n. Throws UsageError where there is no terminal, SystemError.
 */
export async function runWatch({
  instance,
  filter,
}: {
  readonly instance: string;
  readonly filter: FilterTexts;
}): Promise<number> {
  if (!process.stdin.isTTY || !process.stdout.isTTY || process.env.TERM === 'dumb')
    throw new UsageError('watch needs a terminal: "l7egg-cli observe -f" tells anything else of events');
  const over = new AbortController();
  const request: ObserveRequest = { command: 'observe', follow: true, last: PAST, filter };
  const lines = await askControl(controlPath(instance), request, over.signal);
  if (!lines) {
    process.stderr.write(`instance "${instance}": no process tells of events${mentionOthers(instance)}\n`);
    return NOT_ENFORCING;
  }
  const colour = await terminalColours();
  const code = await show();
  if (code === undefined) process.stderr.write(`instance "${instance}": the enforcer has ended\n`);
  return code ?? NOT_ENFORCING;

  async function show(): Promise<number | undefined> {
    using session = new WatchSession(instance, colour, () => over.abort());
    for await (const line of lines ?? []) session.take(parseJson(line));
    return session.code;
  }
}
