import type { Painter } from '../flow/render-text.ts';
import type { Vitals, WatchModel } from './model.ts';
import { cutText, safeText, widthOf } from './width.ts';

/** A piece of a line and its colour. */
type Piece = readonly [text: string, paint: (text: string) => string];

/** The lines about the enforcer itself, before the table. */
export function renderHead(model: WatchModel, columns: number, colour: Painter, nowMs: number): string[] {
  const { vitals } = model;
  const plain = (text: string) => text;
  const rates = model.rates(nowMs);
  const verdicts: Piece[] = [
    [`allow ${perSecond(rates.allow)}`, colour.allow],
    [`deny ${perSecond(rates.deny)}`, rates.deny > 0 ? colour.deny : plain],
    [`would_deny ${perSecond(rates.would_deny)}`, rates.would_deny > 0 ? colour.wouldDeny : plain],
  ];
  const counts: Piece[] = vitals
    ? [
        [`refused ${short(vitals.refused)}`, plain],
        [`flows ${short(vitals.outbound)} out ${short(vitals.inbound)} in`, plain],
        [`leases ${short(vitals.leases)}`, plain],
        [`lost ${short(vitals.losses)}`, vitals.losses > 0 ? colour.deny : plain],
      ]
    : [];
  const missed: Piece[] = model.lost > 0 ? [[`not seen here ${short(model.lost)}`, colour.deny]] : [];
  return [
    line([[`l7egg ${safeText(model.instance)}`, colour.strong], ...standing(vitals, colour)], columns),
    line([[`for ${subjectsText(vitals)}`, colour.dim]], columns),
    line(verdicts, columns),
    line([...counts, ...missed], columns),
  ];
}

function standing(vitals: Vitals | undefined, colour: Painter): Piece[] {
  if (!vitals) return [];
  const state: Piece = !vitals.enforcing
    ? ['NOT enforcing', colour.deny]
    : vitals.audit
      ? ['audit: drops nothing', colour.wouldDeny]
      : ['enforcing', colour.allow];
  return [state, [upText(vitals.uptimeSeconds), colour.dim]];
}

function subjectsText(vitals: Vitals | undefined): string {
  const [first, ...others] = vitals?.subjects ?? [];
  if (first === undefined) return '-';
  return others.length > 3
    ? `${safeText(first)} and ${others.length} subjects more`
    : [first, ...others].map(safeText).join(', ');
}

function upText(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `up ${days} d ${hours} h`;
  if (hours > 0) return `up ${hours} h ${minutes} min`;
  return minutes > 0 ? `up ${minutes} min ${seconds % 60} s` : `up ${seconds} s`;
}

function perSecond(rate: number): string {
  return `${rate > 0 && rate < 10 ? rate.toFixed(1) : short(Math.round(rate))}/s`;
}

/** A count in at most five characters: 9999, 12.3k, 131k, 2.0M. */
export function short(count: number): string {
  if (count < 10_000) return `${count}`;
  const [value, unit] = count < 1e6 ? [count / 1e3, 'k'] : [count / 1e6, 'M'];
  return value < 100 ? `${(Math.floor(value * 10) / 10).toFixed(1)}${unit}` : `${Math.floor(value)}${unit}`;
}

function line(pieces: readonly Piece[], columns: number): string {
  let painted = '';
  let left = columns;
  for (const [text, paint] of pieces) {
    if (text === '') continue;
    const gap = painted === '' ? '' : '  ';
    const cut = cutText(text, left - gap.length);
    if (cut === '') break;
    painted += gap + paint(cut);
    left -= gap.length + widthOf(cut);
  }
  return painted;
}
