import { type Painter, paintVerdict } from '../flow/render-text.ts';
import { short } from './head.ts';
import type { Target } from './targets.ts';
import { fitText } from './width.ts';

/** How wide each column is; 0 = left out. */
interface Widths {
  readonly count: number;
  readonly verdict: number;
  readonly process: number;
  readonly name: number;
  readonly place: number;
  readonly why: number;
  readonly last: number;
}

/** Below it there is room for one of name and address only. */
const NARROW = 64;
const GAP = 1;

function widthsFor(columns: number): Widths {
  if (columns < NARROW) {
    const [count, verdict, last] = [5, 1, 4];
    return {
      count,
      verdict,
      process: 0,
      name: Math.max(4, columns - count - verdict - last - 3 * GAP),
      place: 0,
      why: 0,
      last,
    };
  }
  const [count, verdict, last] = [5, 10, 4];
  const rest = columns - count - verdict - last - 6 * GAP;
  const process = Math.min(15, Math.floor(rest * 0.17));
  const place = Math.min(46, Math.floor(rest * 0.37));
  const why = Math.min(40, Math.floor(rest * 0.2));
  return { count, verdict, process, place, why, last, name: rest - process - place - why };
}

/** The titles of the columns. */
export function tableHead(columns: number): string {
  const widths = widthsFor(columns);
  const cells = [
    fitText('count', widths.count, 'right'),
    fitText(widths.verdict > 1 ? 'verdict' : '', widths.verdict),
    fitText('process', widths.process),
    fitText(widths.place > 0 ? 'name' : 'name or address', widths.name),
    fitText('address', widths.place),
    fitText('rule or reason', widths.why),
    fitText('last', widths.last, 'right'),
  ];
  return join(cells);
}

/** One target as a line of at most `columns` columns. */
export function renderRow(target: Target, columns: number, colour: Painter, nowMs: number): string {
  const widths = widthsFor(columns);
  const { verdict, process, name, place, why, count, lastMs } = target;
  // There the colour says the rest.
  const word = widths.verdict > 1 ? verdict : verdict.slice(0, 1).toUpperCase();
  const isAddress = widths.place === 0 && name === '-';
  return join(
    [
      fitText(short(count), widths.count, 'right'),
      paintVerdict(verdict, fitText(word, widths.verdict), colour),
      fitText(process, widths.process),
      colour.strong(fitText(isAddress ? place : name, widths.name)),
      fitText(place, widths.place),
      colour.dim(fitText(why, widths.why)),
      fitText(agoText(nowMs - lastMs), widths.last, 'right'),
    ],
    [widths.count, widths.verdict, widths.process, widths.name, widths.place, widths.why, widths.last],
  );
}

function join(cells: readonly string[], widths?: readonly number[]): string {
  return cells.filter((cell, index) => (widths ? widths[index] !== 0 : cell !== '')).join(' ');
}

/** How long ago in at most four characters: 3s, 12m, 5h, 40d. */
function agoText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 6_000) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 360_000) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.min(999, Math.floor(seconds / 86_400))}d`;
}
