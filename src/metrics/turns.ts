import { setImmediate as nextTurn } from 'node:timers/promises';

/** Divides long work, so that events are read and signals taken while it goes on. */
export class Turns {
  readonly #limitMs: number;
  #begunMs = performance.now();

  /** @param limitMs how long a piece of work may take before others have their turn */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Goes on at once, or after a turn of the event loop when this piece has taken its time. */
  async give(): Promise<void> {
    if (performance.now() - this.#begunMs < this.#limitMs) return;
    await nextTurn();
    this.#begunMs = performance.now();
  }
}
