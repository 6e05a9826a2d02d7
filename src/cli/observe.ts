import { askControl } from '../control/client.ts';
import { controlPath } from '../enforcer/control-path.ts';
import type { ObserveRequest } from '../enforcer/observing.ts';
import type { Event } from '../flow/event.ts';
import { parseJson } from '../flow/parse-json.ts';
import { DICT_SEPARATOR, renderDict } from '../flow/render-dict.ts';
import { renderTable, TABLE_HEAD } from '../flow/render-table.ts';
import { PLAIN, renderText } from '../flow/render-text.ts';
import type { ObserveOptions } from './observe-flags.ts';
import { mentionOthers } from './others.ts';
import { terminalColours } from './terminal-colours.ts';

const NOT_ENFORCING = 3;

/**
 * Prints the events of a running enforcer: those it keeps, and with `follow` those that come, until it ends or the
 * reader of stdout goes away. Exit code 0, 3 when no process runs. Throws SystemError.
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
  process.stdout.on('error', () => over.abort());
  const lines = await askControl(controlPath(instance), request, over.signal);
  if (!lines) {
    process.stderr.write(`instance "${instance}": no process tells of events${mentionOthers(instance)}\n`);
    return NOT_ENFORCING;
  }
  const print = await printerOf(options.format);
  for await (const line of lines) {
    if (process.stdout.write(print(line)) || over.signal.aborted) continue;
    // Whoever reads us slowly is a slow reader of the enforcer, which counts what that loses.
    await drained(over.signal);
  }
  if (follow && !over.signal.aborted)
    process.stderr.write(`instance "${instance}": the enforcer has ended\n`);
  return 0;
}

async function printerOf(format: ObserveOptions['format']): Promise<(line: string) => string> {
  if (format === 'json') return (line) => `${line}\n`;
  const colour = process.stdout.isTTY ? await terminalColours() : PLAIN;
  const eachOf = (render: (event: Event) => string) => (line: string) => `${render(parseJson(line))}\n`;
  switch (format) {
    case 'compact':
      return eachOf((event) => renderText(event, { colour }));
    case 'dict':
      return eachOf((event) => `${renderDict(event)}\n${DICT_SEPARATOR}`);
    case 'table':
      process.stdout.write(`${TABLE_HEAD}\n`);
      return eachOf((event) => renderTable(event, colour));
    default:
      return format satisfies never;
  }
}

function drained(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    process.stdout.once('drain', resolve);
  });
}
