import { UsageError } from '../errors.ts';

/** Bytes on the wire a second, link-layer header included. `ceil` is what a class may borrow up to; absent = rate. */
export interface Shaping {
  readonly rateBitsPerSecond: number;
  readonly ceilBitsPerSecond?: number;
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['bit', 1],
  ['kbit', 1e3],
  ['mbit', 1e6],
  ['gbit', 1e9],
]);
const LEAST_BITS = 8_000;
const MOST_BITS = 100e9;

/** Parses `500kbit`, `1.5mbit`: decimal units of tc, required. `subject` begins the message of the UsageError. */
export function parseRate(text: string, subject: string): number {
  const [, number, unit] = /^(\d{1,12}(?:\.\d{1,6})?)([a-z]+)$/u.exec(text.toLowerCase()) ?? [];
  const factor = UNITS.get(unit ?? '');
  if (number === undefined || factor === undefined) {
    throw new UsageError(
      `${subject} "${text}" is not a rate: a number and bit, kbit, mbit or gbit is legal, such as 500kbit`,
    );
  }
  const bits = Math.round(Number(number) * factor);
  if (bits >= LEAST_BITS && bits <= MOST_BITS) return bits;
  throw new UsageError(`${subject} "${text}" is out of range: 8kbit to 100gbit is legal`);
}

/** Rate and ceil as one. Throws UsageError when ceil is less. */
export function makeShaping(rate: number, ceil: number | undefined): Shaping {
  if (ceil === undefined || ceil === rate) return { rateBitsPerSecond: rate };
  if (ceil < rate) throw new UsageError('ceil is less than rate: as much or more is legal');
  return { rateBitsPerSecond: rate, ceilBitsPerSecond: ceil };
}
