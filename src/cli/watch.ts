import { askControl, CUT_SHORT } from '../control/client.ts';
import { controlPath } from '../enforcer/control-path.ts';
import type { ObserveRequest } from '../enforcer/observing.ts';
import { SystemError, UsageError } from '../errors.ts';
import type { FilterTexts } from '../flow/filter.ts';
import { parseJson } from '../flow/parse-json.ts';
import { sayCutShort } from './cut-short.ts';
import { nobodyTells } from './others.ts';
import { RemarkWriter } from './remarks.ts';
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
  const { remark } = new RemarkWriter({ title: `instance "${instance}": ` });
  if (!lines) {
    remark(nobodyTells(instance), 'notice');
    return NOT_ENFORCING;
  }
  const end = await show(
    instance,
    new WatchSession(instance, await terminalColours(), () => over.abort()),
    lines,
  );
  if (typeof end === 'number') return end;
  remark(end, 'notice');
  return NOT_ENFORCING;
}

/* Until somebody ends it, or there is nothing more to show; answers the exit code, or why. */
async function show(
  instance: string,
  session: WatchSession,
  lines: AsyncIterable<string>,
): Promise<number | string> {
  try {
    for await (const line of lines) session.take(parseJson(line));
    return session.code ?? 'the enforcer has ended';
  } catch (thrown) {
    if (!(thrown instanceof SystemError && thrown.code === CUT_SHORT)) throw thrown;
    return sayCutShort(instance);
  } finally {
    session[Symbol.dispose](); // before anything is said: the terminal is the owner's again
  }
}
