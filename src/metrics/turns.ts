import { setImmediate as nextTurn } from 'node:timers/promises';

/** Divides long work, so that events are read and signals taken while it goes on, and notes how far that succeeds. */
export class Turns {
  readonly #limitMs: number;
  #begunMs = performance.now();
  #longestMs = 0;

  /** @param limitMs how long a piece of work may take before others have their turn */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** How long the longest piece took. */
  get longestMs(): number {
    return this.#longestMs;
  }

  /** A piece begins: after something else was waited for. */
  begin(): void {
    this.#begunMs = performance.now();
  }

  /** Goes on at once, or after a turn of the event loop when this piece has taken its time. */
  async give(): Promise<void> {
    const tookMs = performance.now() - this.#begunMs;
    if (tookMs > this.#longestMs) this.#longestMs = tookMs;
    if (tookMs < this.#limitMs) return;
    await nextTurn();
    this.#begunMs = performance.now();
  }
}
