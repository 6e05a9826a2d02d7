import { UsageError } from '../errors.ts';
import { FILTERS, type FilterTexts, NO_FILTER, parseFilter } from '../flow/filter.ts';
import { EVENT_FORMATS } from './flags.ts';
import type { Normalised } from './normalise.ts';

/** Which events are shown, and how. `last`: of the past; absent = all that are kept, or those that `follow` begins with. */
export interface ObserveOptions {
  readonly command: 'observe';
  readonly instance: string;
  readonly follow: boolean;
  readonly last?: number;
  readonly format: (typeof EVENT_FORMATS)[number];
  readonly filter: FilterTexts;
}

/** Of the past, as tail(1) does. */
const FOLLOWS_BEHIND = 10;
const MAX_LAST = 1_000_000;

/** Throws UsageError. */
export function parseObserve(instance: string, values: Normalised['values']): ObserveOptions {
  const follow = values.get('f')?.[0] === 'true';
  const filter = parseFilterFlags(values);
  const last =
    parseLast(values.get('n')?.[0]) ?? (follow && filter.since.length === 0 ? FOLLOWS_BEHIND : undefined);
  return {
    command: 'observe',
    instance,
    follow,
    ...(last !== undefined && { last }),
    format: parseFormat(values),
    filter,
  };
}

/** The filters among flags, each looked at for its grammar. Throws UsageError. */
export function parseFilterFlags(values: Normalised['values']): FilterTexts {
  const given = FILTERS.map((name) => ({ [name]: values.get(name) ?? [] }));
  const filter: FilterTexts = Object.assign({}, NO_FILTER, ...given);
  parseFilter(filter, Date.now());
  return filter;
}

function parseFormat(values: Normalised['values']): ObserveOptions['format'] {
  const format = EVENT_FORMATS.find((each) => each === values.get('o')?.[0]);
  if (values.get('json')?.[0] !== 'true') return format ?? 'compact';
  if (format === undefined || format === 'json') return 'json';
  throw new UsageError(`-json and -o="${format}" contradict each other: one of them is legal`);
}

function parseLast(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^(?:0|[1-9]\d{0,6})$/u.test(text) && Number(text) <= MAX_LAST) return Number(text);
  throw new UsageError(`-n "${text}" is no count of events: 0 to ${MAX_LAST} is legal`);
}
