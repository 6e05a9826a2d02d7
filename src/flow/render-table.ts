import { escapeControl } from './escape.ts';
import type { DnsEvent, Event, FlowEvent } from './event.ts';
import {
  formatCauseOf,
  formatLost,
  formatMoment,
  formatNames,
  formatProcess,
  formatTarget,
  paintVerdict,
  type TextOptions,
} from './render-text.ts';

/** Columns but for the last, with their widths. What is wider pushes the rest of its line. */
const COLUMNS = [
  ['TIME', 12],
  ['VERDICT', 10],
  ['SUBJECT', 12],
  ['PROCESS', 18],
  ['NAME', 28],
  ['DESTINATION', 26],
] as const;

/** The line above a table of events. */
export const TABLE_HEAD = [...COLUMNS.map(([title, width]) => title.padEnd(width)), 'RULE OR REASON'].join(
  '  ',
);

/** An event as a row of a table, without the line break. */
export function renderTable(event: Event, { colour, nowMs }: TextOptions): string {
  const isJudged = event.kind === 'flow' || event.kind === 'dns';
  const [cells, last] = isJudged ? judgedCells(event) : [['', '', '', '', ''], sentence(event)];
  const [, ...widths] = COLUMNS.map(([, width]) => width);
  const padded = cells.map((cell, index) => cell.padEnd(widths[index] ?? 0));
  if (isJudged) padded[0] = paintVerdict(event.verdict, padded[0] ?? '', colour);
  const lost = event.lost > 0 ? ` ${formatLost(event.lost)}` : '';
  return [formatMoment(event.timeMs, nowMs), ...padded, last + lost].join('  ');
}

function judgedCells(event: FlowEvent | DnsEvent): [string[], string] {
  const name = event.kind === 'flow' ? formatNames(event.names) : escapeControl(event.qname ?? '-');
  return [
    [
      event.verdict,
      escapeControl(event.subject),
      formatProcess(event.process),
      name,
      formatTarget(event.packet),
    ],
    formatCauseOf(event),
  ];
}

function sentence(event: Exclude<Event, FlowEvent | DnsEvent>): string {
  const lines = event.kind === 'policy' ? event.lines : [];
  return `${event.action}: ${[event.message, ...lines].map(escapeControl).join(' | ')}`;
}
