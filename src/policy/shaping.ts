import { UsageError } from '../errors.ts';

/**
 * Bytes on the wire a second, link-layer header included. A subject has `rate` for itself and takes up to `ceil` of what
 * others on the same interface leave; absent = rate.
 */
export interface Shaping {
  readonly rateBitsPerSecond: number;
  readonly ceilBitsPerSecond?: number;
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['gbit', 1e9],
  ['mbit', 1e6],
  ['kbit', 1e3],
  ['bit', 1],
]);
const LEAST_BITS = 1;
const MOST_BITS = 1e12;

/** Parses `500kbit`, `1.5mbit`: decimal units of tc, required. `subject` begins the message of the UsageError. */
export function parseRate(text: string, subject: string): number {
  const [, number, unit] = /^(\d{1,15}(?:\.\d{1,9})?)([kmg]?bit)$/i.exec(text) ?? [];
  const factor = UNITS.get(unit?.toLowerCase() ?? '');
  if (number === undefined || factor === undefined) {
    throw new UsageError(
      `${subject} "${text}" is not a rate: a number and bit, kbit, mbit or gbit is legal, such as 500kbit`,
    );
  }
  const bits = Math.round(Number(number) * factor);
  if (bits >= LEAST_BITS && bits <= MOST_BITS) return bits;
  throw new UsageError(
    `${subject} "${text}" is out of range: ${formatRate(LEAST_BITS)} to ${formatRate(MOST_BITS)} is legal`,
  );
}

/** A rate as it could have been written, in the largest unit of which it has one or more: `1.5mbit`. */
export function formatRate(bitsPerSecond: number): string {
  for (const [unit, factor] of UNITS) {
    if (bitsPerSecond >= factor) return `${bitsPerSecond / factor}${unit}`;
  }
  return `${bitsPerSecond}bit`;
}

/** Rate and ceil as one. Throws UsageError when ceil is less. */
export function makeShaping(rate: number, ceil: number | undefined): Shaping {
  if (ceil === undefined || ceil === rate) return { rateBitsPerSecond: rate };
  if (ceil < rate) {
    throw new UsageError(
      `ceil "${formatRate(ceil)}" is less than rate "${formatRate(rate)}": as much or more is legal`,
    );
  }
  return { rateBitsPerSecond: rate, ceilBitsPerSecond: ceil };
}
