import { setFlagsFromString } from 'node:v8';

/**
 * From now on V8 lets its heap grow to no more than twice of what is in use before it collects garbage, not four times:
 * under a flood of events each of them lives for the next ten thousand. Not from the start, which loading it would slow
 * down; and no less than twice, where a flood would leave no time for a reload.
 */
export function growSlowly(): void {
  setFlagsFromString('--heap-growing-percent=100');
}
