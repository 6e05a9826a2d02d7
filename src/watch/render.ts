import type { Event } from '../flow/event.ts';
import { formatTime, type Painter, PLAIN, paintVerdict, renderText } from '../flow/render-text.ts';
import { renderHead } from './head.ts';
import { HELP } from './help.ts';
import type { WatchModel } from './model.ts';
import { renderRow, tableHead } from './table.ts';
import { cutText, fitText, safeText } from './width.ts';

/** Of the terminal, in characters. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const KEYS = 'q quit  p pause  d denies  a all  s sort  / find  ? help';
const LEAST_TAIL = 3;

/**
 * What is on the screen: exactly `rows` lines of at most `columns` columns, coloured, with nothing from outside that is
 * not escaped. @param nowMs since 1970
 */
export function renderFrame(model: WatchModel, size: Size, colour: Painter, nowMs: number): string[] {
  const { columns } = size;
  const rows = Math.max(1, size.rows);
  const head = renderHead(model, columns, colour, nowMs);
  const room = rows - head.length - 1;
  const body = model.isHelp ? helpLines(columns, colour) : bodyLines(model, columns, room, colour, nowMs);
  const lines = [...head, ...body].slice(0, rows - 1);
  while (lines.length < rows - 1) lines.push('');
  return [...lines, footer(model, columns, colour)];
}

function bodyLines(
  model: WatchModel,
  columns: number,
  room: number,
  colour: Painter,
  nowMs: number,
): string[] {
  // A line each for the two titles.
  const tailRows = Math.max(LEAST_TAIL, Math.floor((room - 2) * 0.4));
  const tableRows = Math.max(1, room - 2 - tailRows);
  model.setPage(tableRows);
  const { rows, first, all } = model.rows(tableRows);
  const table = rows.map((row) => renderRow(row, columns, colour, nowMs));
  while (table.length < tableRows) table.push('');
  const last = first + rows.length;
  const shown = all > rows.length ? `${first + 1} to ${last} of ${all}` : `${all}`;
  const paused = model.isPaused ? `, paused: ${model.held} more` : '';
  const title = `${shown} targets by ${model.order} · latest events${paused}`;
  return [
    colour.strong(tableHead(columns)),
    ...table,
    colour.strong(fitText(title, columns)),
    ...model.tail(tailRows).map((event) => tailLine(event, columns, colour)),
  ];
}

/* Cut first, then coloured: what colours is no text. */
function tailLine(event: Event, columns: number, colour: Painter): string {
  const plain = safeText(renderText(event, { colour: PLAIN }));
  const line = cutText(plain, columns);
  const time = formatTime(event.timeMs);
  if (event.kind !== 'flow' && event.kind !== 'dns') return colour.dim(line);
  const head = `${time} ${event.verdict}`;
  if (!line.startsWith(head)) return colour.dim(line);
  return `${colour.dim(time)} ${paintVerdict(event.verdict, event.verdict, colour)}${line.slice(head.length)}`;
}

function footer(model: WatchModel, columns: number, colour: Painter): string {
  if (model.isSearching) return cutText(`/${model.search}█  (Enter takes it, Esc drops it)`, columns);
  const state = [
    ...(model.isPaused ? ['PAUSED'] : []),
    ...(model.deniesOnly ? ['denies only'] : []),
    ...(model.search === '' ? [] : [`with "${model.search}"`]),
  ].join(', ');
  return colour.dim(cutText(state === '' ? KEYS : `${state}  ${KEYS}`, columns));
}

function helpLines(columns: number, colour: Painter): string[] {
  return [
    '',
    ...HELP.map(([key, meaning]) => {
      const line = cutText(`  ${key.padEnd(12)}${meaning}`, columns);
      return `${colour.strong(line.slice(0, 14))}${line.slice(14)}`;
    }),
  ];
}
