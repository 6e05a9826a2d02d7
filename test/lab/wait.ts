import { setTimeout as pause } from 'node:timers/promises';

/** How long to poll, and the words that end up in the error. */
export interface UntilOptions {
  readonly limitMs: number;
  readonly what: string;
}

/** What a poll found: anything that is not "not yet". */
export type Found<T> = Exclude<T, false | null | undefined | 0 | ''>;

const POLL_MS = 4;
/* How many times as long as usual things may take, where the processor is emulated (`make test-vm`). */
const PATIENCE = Number(process.env.L7EGG_PATIENCE ?? 1);
const stillness = new Int32Array(new SharedArrayBuffer(4));

/** A limit as it is for this machine: what tests say, times `L7EGG_PATIENCE`. `until` and the lab do so themselves. */
export function patient(limitMs: number): number {
  return limitMs * PATIENCE;
}

/** Tells a found value from "not yet". */
function isFound<T>(value: T): value is T & Found<T> {
  return Boolean(value);
}

/**
 * Polls `probe` until it gives a truthy value, and returns that value.
 * Throws when `limitMs` have passed; what the probe itself throws goes through.
 */
export async function until<T>(probe: () => T | Promise<T>, options: UntilOptions): Promise<Found<T>> {
  const started = performance.now();
  for (;;) {
    const value = await probe();
    if (isFound(value)) return value;
    if (performance.now() - started > patient(options.limitMs)) throw tooLate(options);
    await pause(POLL_MS);
  }
}

/** The same for callers that must not give up the thread, such as `Symbol.dispose`. */
export function untilSync<T>(probe: () => T, options: UntilOptions): Found<T> {
  const started = performance.now();
  for (;;) {
    const value = probe();
    if (isFound(value)) return value;
    if (performance.now() - started > patient(options.limitMs)) throw tooLate(options);
    Atomics.wait(stillness, 0, 0, POLL_MS);
  }
}

function tooLate(options: UntilOptions): Error {
  return new Error(`Cannot wait for ${options.what}: not there after ${patient(options.limitMs)} ms`);
}
