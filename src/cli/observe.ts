import { askControlInPieces, CUT_SHORT } from '../control/client.ts';
import { controlPath } from '../enforcer/control-path.ts';
import type { ObserveRequest } from '../enforcer/observing.ts';
import { SystemError } from '../errors.ts';
import type { Event } from '../flow/event.ts';
import { parseJson } from '../flow/parse-json.ts';
import { DICT_SEPARATOR, renderDict } from '../flow/render-dict.ts';
import { renderTable, TABLE_HEAD } from '../flow/render-table.ts';
import { PLAIN, renderText } from '../flow/render-text.ts';
import { sayCutShort } from './cut-short.ts';
import type { ObserveOptions } from './observe-flags.ts';
import { nobodyTells } from './others.ts';
import { RemarkWriter } from './remarks.ts';
import { StdoutPrinter } from './stdout-printer.ts';
import { terminalColours } from './terminal-colours.ts';

const FAILED = 1;
const NOT_ENFORCING = 3;
/** How long a reader of stdout may take to the last events when a signal ends us. */
const LAST_WORDS_MS = 1_000;

/**
 * Prints the events of a running enforcer: those it keeps, and with `follow` those that come, until it ends, SIGINT or
 * SIGTERM come or the reader of stdout goes away. Exit code 0, 1 when the enforcer was killed meanwhile or did not wait for us, 3 when none
 * runs. Throws SystemError.
 */
export async function runObserve(options: ObserveOptions): Promise<number> {
  const { instance, follow, last, filter } = options;
  const request: ObserveRequest = {
    command: 'observe',
    follow,
    ...(last !== undefined && { last }),
    filter,
  };
  const over = new AbortController();
  process.once('SIGINT', () => over.abort());
  process.once('SIGTERM', () => over.abort());
  const pieces = await askControlInPieces(controlPath(instance), request, over.signal);
  if (over.signal.aborted) return 0;
  const { remark } = new RemarkWriter({ title: `instance "${instance}": ` });
  const say = (text: string) => remark(text, 'notice');
  if (!pieces) {
    say(nobodyTells(instance));
    return NOT_ENFORCING;
  }
  const printer = new StdoutPrinter(() => over.abort());
  const { head, print } = await formOf(options.format);
  printer.print(head);
  try {
    for await (const lines of pieces) {
      printer.print(lines.map(print).join(''));
      // Whoever reads us slowly is a slow reader of the enforcer, which counts what that loses.
      if (printer.isBehind) await printer.caughtUp();
    }
  } catch (thrown) {
    if (!(thrown instanceof SystemError && thrown.code === CUT_SHORT)) throw thrown;
    printer.flush();
    say(sayCutShort(instance));
    return FAILED;
  }
  if (over.signal.aborted) printer.end(LAST_WORDS_MS);
  else if (follow) {
    printer.flush();
    say('the enforcer has ended');
  }
  return 0;
}

/** What stands above the events, and how the text of one becomes what is printed. */
interface Form {
  readonly head: string;
  readonly print: (line: string) => string;
}

async function formOf(format: ObserveOptions['format']): Promise<Form> {
  if (format === 'json') return { head: '', print: (line) => `${line}\n` };
  const colour = process.stdout.isTTY ? await terminalColours() : PLAIN;
  const eachBy = (render: (event: Event) => string) => (line: string) => `${render(parseEvent(line))}\n`;
  switch (format) {
    case 'compact':
      return { head: '', print: eachBy((event) => renderText(event, { colour })) };
    case 'dict':
      return { head: '', print: eachBy((event) => `${renderDict(event)}\n${DICT_SEPARATOR}`) };
    case 'table':
      return { head: `${TABLE_HEAD}\n`, print: eachBy((event) => renderTable(event, { colour })) };
    default:
      return format satisfies never;
  }
}

/* The enforcer may be of another version than we are. */
function parseEvent(line: string): Event {
  try {
    return parseJson(line);
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw new SystemError(`read an event of this enforcer (-json shows it): ${thrown.message}`, 'EPROTO');
  }
}
