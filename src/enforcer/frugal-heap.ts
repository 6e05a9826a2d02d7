import { setFlagsFromString } from 'node:v8';

/**
 * From now on V8 collects garbage rather than let its heap grow: under a flood of events, each of which lives for the
 * next ten thousand, it grows to three times of what is in use. Not from the start, which it would slow down.
 */
export function growSlowly(): void {
  setFlagsFromString('--optimize-for-size');
}
